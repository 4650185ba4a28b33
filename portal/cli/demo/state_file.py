"""What the demo remembers in `<data>/demo.json` (mode 0600): its credentials, and what its usage is drawn from."""

from pathlib import Path

import msgspec

from portal.core.embedded.folder import write_private
from portal.core.errors import StartupError

FILE = "demo.json"


class KeySpan(msgspec.Struct, frozen=True):
    """A stretch [start, end) in which a key is used with one secret and each call ends in `code` unless limited."""

    secret_id: str
    start_us: int
    end_us: int
    code: str


class KeyHistory(msgspec.Struct, frozen=True):
    """A key's past: how busy (calls on an average day), with what rhythm, in which stretches."""

    account_id: str
    key_id: str
    environment: str
    daily_calls: int
    rhythm: str
    spans: list[KeySpan]


class DemoState(msgspec.Struct, frozen=True):
    """`made_us` is the demo's now: usage ends an hour before. Written before the accounts are committed."""

    made_us: int
    seed: int
    reader_password: str
    service_token: str
    logins: dict[str, dict[str, str]]
    keys: dict[str, str]
    histories: list[KeyHistory]
    is_complete: bool = False


def load_state(data: Path) -> DemoState | None:
    """None when there is none. Raises StartupError for a file that is not ours."""
    path = data / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=DemoState)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StartupError(
            f"{path} is not readable as demo credentials: {error}.", hint="Restore it, or use another --data folder."
        ) from None


def save_state(data: Path, state: DemoState) -> None:
    """Write the whole file or none of it; it is on disk when this returns."""
    write_private(data / FILE, msgspec.json.format(msgspec.json.encode(state), indent=2).decode() + "\n")
