"""What an error of PostgreSQL means for whoever waits. Every place that has to know asks here, and nowhere else.

    is_dependency_unavailable   the same work may succeed later, so keep it, or answer from what is known
    is_server_unavailable       nobody's work would succeed now, so do not go on with the next

Both go by what PostgreSQL refuses for good, the data itself, and take everything else for a mood: a server may be gone,
hang, refuse a log-in (28P01), have no connection left (53300) or no disk (53100), take no writes (25006), cancel
(57014), or not be migrated yet (42P01).
"""

from asyncpg.exceptions import InterfaceError as AsyncpgInterfaceError
from asyncpg.exceptions import PostgresError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal.core.errors import Unavailable

DATA_REFUSED = ("22", "23", "44", "54", "P0")
"""Classes of SQLSTATE: data exception, constraint violation, check option, program limit, raised by a function."""
SERVER_REFUSES = ("08", "25006", "28", "3D", "53", "57P", "58", "F0", "XX")
"""What a server says to everybody: no connection, read-only, no log-in, no database, no resources, stopping, broken."""
STOPPING = "57P"
_LOST = (OSError, TimeoutError, OperationalError, InterfaceError, AsyncpgInterfaceError, PoolTimeout)


def sqlstate_of(error: BaseException) -> str:
    """Return PostgreSQL's five-letter code of an error, or nothing where the server did not speak."""
    return str(getattr(getattr(error, "orig", None) or error, "sqlstate", "") or "")


def describe(error: BaseException) -> str:
    """Return what the server said, in one line: without the statement, its values, or an address with a password."""
    cause = getattr(error, "orig", None) or error
    text = str(getattr(cause, "__cause__", None) or cause).strip().partition("\n")[0].rstrip(".")
    return text or type(cause).__name__


def is_connection_lost(error: BaseException) -> bool:
    """Return whether the link ended, or the server stops: another connection may do. For the pool's first statement."""
    if isinstance(error, DBAPIError) and (error.connection_invalidated or sqlstate_of(error).startswith(STOPPING)):
        return True
    return isinstance(error, _LOST)


def is_server_unavailable(error: BaseException) -> bool:
    """Return whether the server takes nobody's work now, as opposed to failing at this statement or these rows."""
    if isinstance(error, Unavailable) or is_connection_lost(error):
        return True
    return isinstance(error, DBAPIError | PostgresError) and sqlstate_of(error).startswith(SERVER_REFUSES)


def is_dependency_unavailable(error: BaseException) -> bool:
    """Return whether the same work may succeed later: every error of PostgreSQL but its refusal of the data itself.

    Unavailable, from any server, counts too.
    """
    if is_server_unavailable(error):
        return True
    if not isinstance(error, DBAPIError | PostgresError):
        return False
    return not sqlstate_of(error).startswith(DATA_REFUSED)
