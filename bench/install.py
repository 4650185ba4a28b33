"""What the benchmark needs beyond the portal: load generators and proxies from Debian, peers from npm and PyPI.

Everything is pinned and lands inside bench/, but for the Debian packages, which only root can install. Their daemons
are not started.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent
NODE_PEER = FOLDER / "peers" / "node"
PYTHON_PEER = FOLDER / "peers" / "python"
VENV = FOLDER / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
DEBIAN = {"wrk": "wrk", "h2load": "nghttp2-client", "npm": "npm", "nginx": "nginx-light", "haproxy": "haproxy"}
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin"
POLICY = Path("/usr/sbin/policy-rc.d")


class CannotInstall(Exception):
    """The text says what to install by hand."""


def install() -> None:
    """Idempotent; quick when nothing is missing. Raises CannotInstall."""
    _install_debian()
    _once(NODE_PEER / "node_modules" / ".installed", NODE_PEER / "package-lock.json", _install_node)
    _once(VENV / ".installed", PYTHON_PEER / "requirements.txt", _install_python)


def _install_debian() -> None:
    missing = sorted({package for name, package in DEBIAN.items() if find_program(name) is None})
    if not missing:
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise CannotInstall(f"The benchmark needs {', '.join(missing)}. Install: apt-get install {' '.join(missing)}")
    _run([apt, "update", "-qq"], FOLDER)
    with _no_daemons():
        _run([apt, "install", "-y", "-qq", "--no-install-recommends", *missing], FOLDER)


@contextmanager
def _no_daemons() -> Iterator[None]:
    """Debian asks this file whether a package may start what it brings."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def _install_node() -> None:
    _run([program("npm"), "ci", "--silent", "--no-audit", "--no-fund"], NODE_PEER)


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


def find_program(name: str) -> str | None:
    """Also where only root's PATH leads."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_FOLDERS}")


def program(name: str) -> str:
    """Raises CannotInstall."""
    found = find_program(name)
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
