"""Real PostgreSQL and real Valkey or Redis under one data folder, for `portal run` and for the tests.

Owns `lock`, `postgres*` and `valkey*` in that folder, both servers' whole lives, and nothing else. The programs come
from the optional extra `embedded`, else from this machine; production starts no server of this package.

    services.py           both servers together: start, stop, and each alone
    postgres.py valkey.py one server each: its configuration, and how it tells that it is ready
    binaries.py           where the programs are
    account.py            which account PostgreSQL runs as under root
    folder.py             the data folder: private, locked, keeper of passwords and ports
    process.py record.py  one child process from its start to its end, also after the portal was killed

Failure modes: a second start on a folder in use is refused, and so is a folder of another major version of PostgreSQL;
a server that does not come up is a StartupError with the end of its log; servers that a killed portal left behind are
stopped before new ones start, and are recognised by pid and start time together, so that a reused pid never costs a
stranger its life.
"""

from portal.core.embedded.services import EmbeddedServices, find_addresses, start_services

__all__ = ["EmbeddedServices", "find_addresses", "start_services"]
