"""Real PostgreSQL and real Valkey under one data folder, for `portal run` and for the tests.

Owns `lock`, `postgres*` and `valkey*` in that folder, both servers' whole lives, and nothing else. The
binaries come from the optional extra `embedded`; production never imports this package.

Failure modes: a second start on a folder in use is refused; a server that does not come up is a StartupError
with the end of its log; servers that a killed portal left behind are stopped before new ones start, and are
recognised by pid and start time together, so that a reused pid never costs a stranger its life.
"""

from portal.core.embedded.services import EmbeddedServices, start_services

__all__ = ["EmbeddedServices", "start_services"]
