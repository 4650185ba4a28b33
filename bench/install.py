"""What the benchmark needs beyond the portal: load generators from Debian, peers from npm and PyPI.

Everything is pinned and lands inside bench/, but for the Debian packages, which only root can install.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent
NODE_PEER = FOLDER / "peers" / "node"
PYTHON_PEER = FOLDER / "peers" / "python"
VENV = FOLDER / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
DEBIAN = {"wrk": "wrk", "h2load": "nghttp2-client", "npm": "npm"}


class CannotInstall(Exception):
    """The text says what to install by hand."""


def install() -> None:
    """Idempotent; quick when nothing is missing. Raises CannotInstall."""
    _install_debian()
    _once(NODE_PEER / "node_modules" / ".installed", NODE_PEER / "package-lock.json", _install_node)
    _once(VENV / ".installed", PYTHON_PEER / "requirements.txt", _install_python)


def _install_debian() -> None:
    missing = sorted({package for program, package in DEBIAN.items() if shutil.which(program) is None})
    if not missing:
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise CannotInstall(f"The benchmark needs {', '.join(missing)}. Install: apt-get install {' '.join(missing)}")
    _run([apt, "update", "-qq"], FOLDER)
    _run([apt, "install", "-y", "-qq", *missing], FOLDER)


def _install_node() -> None:
    _run([_program("npm"), "ci", "--silent", "--no-audit", "--no-fund"], NODE_PEER)


def _install_python() -> None:
    _run([sys.executable, "-m", "venv", "--clear", str(VENV)], FOLDER)
    quiet = ["--quiet", "--disable-pip-version-check"]
    _run([str(VENV_PYTHON), "-m", "pip", "install", *quiet, "-r", str(PYTHON_PEER / "requirements.txt")], FOLDER)


def _once(mark: Path, wanted: Path, work: Callable[[], None]) -> None:
    """Unless the mark says that exactly this list was installed."""
    digest = sha256(wanted.read_bytes()).hexdigest()
    if not mark.is_file() or mark.read_text() != digest:
        work()
        mark.write_text(digest)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise CannotInstall(f"There is no {name} on the PATH.")
    return found


def _run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(  # noqa: S603 our own commands
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise CannotInstall(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}")
