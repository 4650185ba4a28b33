"""The demo of `portal run --demo`, and `portal demo traffic`.

seed.py         make the demo once, and go on with one that was cut off
accounts.py     its accounts, people, tokens and keys, through the same verbs as everybody's
fixtures.py     who they are, and what became of each key
usage.py        ninety days of usage, drawn the same every time
state_file.py   what is kept in the data folder
command.py      `portal demo traffic`: traffic.py sends the checks, report.py counts and prints
"""
