"""The data folder: private, held by one living process, and the keeper of passwords and ports."""

import fcntl
import json
import os
import secrets
import socket
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from portal.core.errors import StartupError

HOST = "127.0.0.1"
# Below every system's range for outgoing connections: there a client that retries while the server is down
# can be given the server's own port, connect to itself, and keep the server from coming back.
PORTS = range(20_000, 30_000)
PORT_ATTEMPTS = 200


@dataclass(frozen=True)
class Endpoint:
    """Where one server listens and what opens it. Made once, then kept in a file of mode 0600."""

    password: str
    port: int

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return what the file says, or a new password and port, already saved."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return cls(password=secrets.token_hex(24), port=free_port()).saved(path)
        except (ValueError, TypeError) as broken:
            raise StartupError(
                f"{path} is not readable as password and port.", hint="Restore it from a backup."
            ) from broken

    def with_free_port(self, path: Path) -> Self:
        """Itself while its port is free, otherwise the same on another port, already saved."""
        return self if is_free(self.port) else replace(self, port=free_port()).saved(path)

    def saved(self, path: Path) -> Self:
        write_private(path, json.dumps(asdict(self)))
        return self


class FolderLock:
    """One living process a folder: the kernel releases it however that process ends."""

    def __init__(self, data: Path) -> None:
        self._file = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as held:
            holder = os.pread(self._file, 20, 0).decode() or "unknown"
            self.release()
            raise StartupError(
                f"The data folder {data} is in use by process {holder}.",
                hint="Stop that portal first, or choose another folder with --data.",
            ) from held
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def hold_folder(data: Path) -> FolderLock:
    """Create the folder if need be, make it private and lock it. Raises StartupError."""
    try:
        _make_private(data)
        return FolderLock(data)
    except OSError as refused:
        raise StartupError(
            f"The data folder {data} cannot be used: {refused.strerror}.",
            hint="Choose a folder of your own with --data.",
        ) from refused


def write_private(path: Path, text: str) -> None:
    """Write the whole file or none of it, readable by nobody else; it is on disk when this returns."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(path)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind((HOST, port))
            return True
    return False


def free_port() -> int:
    for _ in range(PORT_ATTEMPTS):
        port = secrets.choice(PORTS)
        if is_free(port):
            return port
    raise StartupError(f"No free port between {PORTS.start} and {PORTS.stop - 1} on {HOST}.")


def _make_private(data: Path) -> None:
    """Make a new folder private. One that existed keeps its mode: `--data /srv` must not lock others out of /srv."""
    if not data.exists():
        data.mkdir(mode=0o700, parents=True)
    is_ours = (data / "lock").exists() or not any(data.iterdir())
    if is_ours:
        data.chmod(0o700)
    elif data.stat().st_mode & stat.S_IWOTH:
        raise StartupError(
            f"Everybody may write to the folder {data}.", hint="Choose a folder of your own with --data."
        )
