"""Where a Redis shard is, read from its URL.

    redis[s]://[user:password@]host[:port][/db][?ca=/path/of/ca.pem]
    redis[s]+sentinel://[user:password@]sentinel[:port],…/master[/db][?sentinel_password=…&ca=…]

User and password are the Redis server's, percent-encoded where they hold one of `:/?#@,`; TLS (rediss) goes for the
Sentinels too, and certificates are verified always: against the file `ca`, or else against the system's authorities.
In a list of shards a part without a scheme continues the Sentinels of the part before it.
"""

import re
import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

REDIS_PORT, SENTINEL_PORT = 6379, 26379
_FORM = re.compile(
    r"(?P<scheme>rediss?(?:\+sentinel)?)://(?:(?P<login>[^@/?#]*)@)?(?P<servers>[^@/?#]*)"
    r"(?:/(?P<path>[^?#]*))?(?:\?(?P<query>[^#]*))?"
)

HostPort = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ShardAddress:
    """`servers`: the server, or the Sentinels that know where `master` is."""

    servers: tuple[HostPort, ...]
    master: str | None
    user: str | None
    password: str | None = field(repr=False)
    database: int
    is_tls: bool
    sentinel_password: str | None = field(repr=False)
    ca: str | None = None
    """The file of the authority that signed the servers' certificates."""

    @property
    def name(self) -> str:
        """Stable: it decides which accounts the shard holds, so neither a promotion nor a new password changes it."""
        if self.master is not None:
            return f"{self.master}/{self.database}" if self.database else self.master
        host, port = self.servers[0]
        return f"{host}:{port}/{self.database}"

    def tls_context(self) -> ssl.SSLContext | None:
        """Return how to verify the servers' certificates; None without TLS.

        Raises OSError for a `ca` that is not there or holds no certificate.
        """
        return ssl.create_default_context(cafile=self.ca) if self.is_tls else None


def split_shards(text: str) -> list[str]:
    """Return the URLs of a list by commas. Raises ValueError for a part that belongs to none."""
    urls: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        if "://" in part:
            urls.append(part)
        elif part and urls and _takes_more(urls[-1]):
            urls[-1] += f",{part}"
        elif part:
            raise ValueError("a part without redis:// continues a list of Sentinels, and there is none before it")
    return urls


def _takes_more(url: str) -> bool:
    scheme, _, rest = url.partition("://")
    return scheme.endswith("+sentinel") and "/" not in rest


def parse_shard(url: str) -> ShardAddress:
    """Return the address that a URL names. Raises ValueError, whose text never holds the password."""
    form = _FORM.fullmatch(url)
    if form is None:
        raise ValueError(
            "each must be redis://host[:port][/db] or redis+sentinel://sentinel[:port],…/master[/db] (rediss: TLS)"
        )
    is_watched = form["scheme"].endswith("+sentinel")
    user, _, password = (form["login"] or "").partition(":")
    path = [unquote(step) for step in (form["path"] or "").rstrip("/").split("/") if form["path"]]
    master = _master(path) if is_watched else None
    is_tls = form["scheme"].startswith("rediss")
    query = _query(form["query"] or "", is_watched=is_watched, is_tls=is_tls)
    return ShardAddress(
        servers=_servers(form["servers"], is_watched=is_watched),
        master=master,
        user=unquote(user) or None,
        password=unquote(password) or None,
        database=_database(path),
        is_tls=is_tls,
        sentinel_password=query.get("sentinel_password"),
        ca=query.get("ca"),
    )


def _query(text: str, *, is_watched: bool, is_tls: bool) -> dict[str, str]:
    query = parse_qs(text)
    allowed = ({"sentinel_password"} if is_watched else set()) | ({"ca"} if is_tls else set())
    if text and not (query and query.keys() <= allowed):
        raise ValueError(
            "the only parameters are sentinel_password, which redis+sentinel:// alone takes, and ca, which rediss takes"
        )
    return {name: values[0] for name, values in query.items()}


def _master(path: list[str]) -> str:
    """Take the master's name from the front of the path."""
    if not path or not path[0]:
        raise ValueError("redis+sentinel:// ends in the name of the master: redis+sentinel://s1,s2,s3/mymaster")
    return path.pop(0)


def _database(path: list[str]) -> int:
    if len(path) > 1 or (path and not path[0].isdecimal()):
        raise ValueError("a database is a number, such as redis://host/0")
    return int(path[0]) if path else 0


def _servers(text: str, *, is_watched: bool) -> tuple[HostPort, ...]:
    parts = text.split(",")
    if len(parts) > 1 and not is_watched:
        raise ValueError("redis:// names one server; redis+sentinel:// takes several")
    port = SENTINEL_PORT if is_watched else REDIS_PORT
    return tuple([_host_port(part, port) for part in parts])


def _host_port(text: str, port: int) -> HostPort:
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname:
            return parts.hostname, parts.port or port
    except ValueError:
        pass  # its text holds what was taken for a port: maybe a piece of the password
    raise ValueError("an address is host[:port]; in a user's name or password encode each of :/?#@, by percent")
