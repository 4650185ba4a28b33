"""A Redis that speaks TLS alone, authorities made for the moment, and certificates that they sign.

Debian's own server: the one of the wheel is built without TLS. Its program is the one that also checks dumps, and it
tells by its name what it is to be.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from portal.core.embedded.folder import free_port

HOST = "127.0.0.1"
PASSWORD = "hush"
START_SECONDS = 15.0
CONFIG = f"""\
bind {HOST}
port 0
tls-port {{port}}
tls-cert-file {{certificate}}
tls-key-file {{key}}
tls-ca-cert-file {{ca}}
tls-auth-clients no
requirepass {PASSWORD}
dir {{folder}}
save ""
appendonly no
"""


@dataclass(frozen=True)
class TlsServer:
    port: int

    def url(self, ca: Path | None, scheme: str = "rediss") -> str:
        query = f"?ca={ca}" if ca else ""
        return f"{scheme}://:{PASSWORD}@{HOST}:{self.port}/0{query}"


@dataclass(frozen=True)
class Authority:
    folder: Path
    name: str

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.pem"

    @property
    def key(self) -> Path:
        return self.folder / f"{self.name}.key"

    def create(self) -> "Authority":
        where = ["-keyout", str(self.key), "-out", str(self.certificate)]
        openssl("req", "-x509", *KEY, *where, "-days", "2", "-subj", f"/CN={self.name}")
        return self

    def sign(self, server: str, alternative: str) -> tuple[Path, Path]:
        """A certificate for what `alternative` says, such as IP:127.0.0.1, and its key."""
        request, key, signed = (self.folder / f"{server}.{kind}" for kind in ("csr", "key", "pem"))
        extensions = self.folder / f"{server}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n")
        openssl("req", *KEY, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={server}")
        by = ["-CA", str(self.certificate), "-CAkey", str(self.key), "-CAcreateserial", "-extfile", str(extensions)]
        openssl("x509", "-req", "-in", str(request), "-out", str(signed), "-days", "2", *by)
        return signed, key


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@contextmanager
def tls_server(folder: Path, authority: Authority, alternative: str = f"IP:{HOST}") -> Iterator[TlsServer]:
    folder.mkdir()
    certificate, key = authority.sign(folder.name, alternative)
    program, port = folder / "redis-server", free_port()
    found = shutil.which("redis-check-rdb")
    assert found, "run tests/install_servers.sh"
    program.symlink_to(found)
    config = CONFIG.format(port=port, certificate=certificate, key=key, ca=authority.certificate, folder=folder)
    (folder / "redis.conf").write_text(config)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, folder / "redis.conf"], stdout=log, stderr=log, start_new_session=True)
    try:
        until = monotonic() + START_SECONDS
        while b"Ready to accept connections" not in (folder / "log").read_bytes():
            assert process.poll() is None, (folder / "log").read_text()
            assert monotonic() < until
            sleep(0.05)
        yield TlsServer(port)
    finally:
        process.kill()
        process.wait()
