"""The `portal` command: what a person types, wired to the domains. Nothing below imports it.

    main.py        the list of commands, and how a failure is shown
    commands/      one file a command, or a group of them
    demo/          the data of `portal run --demo`, and `portal demo traffic`
    doctor/        `portal doctor`: one function for each thing that is examined

    target.py        --data: the configured services, or those of a `portal run`
    ready_file.py    what a running portal writes for programs and prints for people
    tariff_file.py   a tariff in a file
    usage_errors.py  input that is refused: one line, exit code 2
    progress.py      progress of long work, on stderr

Processes are put together in portal.runtime.
"""

from portal.cli.main import main

__all__ = ["main"]
