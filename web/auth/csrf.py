"""No other site can make a browser act here: the browser's own word on where a request comes from decides.

`Sec-Fetch-Site` says it outright. Browsers leave it out over plain http unless the host is this machine; then `Origin`
must name this portal: the request's Host, or the host of PORTAL_BASE_URL where a proxy has rewritten the Host.
A request with neither header is not known to come from here and is refused (docs/decisions/0077).
"""

import re
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from portal.core.errors import Forbidden
from web.services import services_of

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_AUTHORITY = r"(?P<host>\[[0-9a-f:.]+\]|[^\s/?#@:,\[\]\\]+)(?::(?P<port>[0-9]{1,5}))?"
_HOST = re.compile(_AUTHORITY)
_ORIGIN = re.compile(rf"(?P<scheme>https?)://{_AUTHORITY}")
_PORTS = {"http": 80, "https": 443}


def require_own_origin(connection: HTTPConnection) -> None:
    """Raise Forbidden unless the browser says that one of this portal's own pages sent this request."""
    if is_own_origin(connection):
        return
    if names_origin(connection):
        raise Forbidden(
            "This request was sent from another site. Nothing was changed.",
            hint="Open the page here and send the form again; a program sends a personal token instead of the cookie.",
        )
    raise Forbidden(
        "This request does not say which site it was sent from. Nothing was changed.",
        hint="A browser sends Origin or Sec-Fetch-Site, and a proxy must pass them on; a program sends a personal token"
        " instead of the cookie.",
    )


def names_origin(connection: HTTPConnection) -> bool:
    """Return whether a browser said anything about where this request comes from."""
    return "Sec-Fetch-Site" in connection.headers or "Origin" in connection.headers


def is_own_origin(connection: HTTPConnection) -> bool:
    """Return whether this request comes from a page of this portal, or was typed by hand (Sec-Fetch-Site: none)."""
    sites = connection.headers.getlist("Sec-Fetch-Site")
    if sites:
        return sites in (["same-origin"], ["none"])
    origins = connection.headers.getlist("Origin")
    origin = _ORIGIN.fullmatch(origins[0].lower()) if len(origins) == 1 else None
    if origin is None:
        return False
    base_url = urlsplit(services_of(connection).settings.base_url)
    if base_url.scheme == "https" and origin["scheme"] != "https":
        return False  # an http page on this name may be anybody's who sits between
    own_hosts = [base_url.netloc, *_single(connection.headers.getlist("Host"))]
    default_port = _PORTS[origin["scheme"]]
    return _endpoint(origin, default_port) in [
        _endpoint(match, default_port) for text in own_hosts if (match := _HOST.fullmatch(text.lower()))
    ]


def is_allowed_origin(connection: HTTPConnection) -> bool:
    """Return whether a page of another origin sent this that may call the API, with a token and never with our cookie.

    `null`, which any sandboxed page sends, is on no list.
    """
    origins = connection.headers.getlist("Origin")
    return len(origins) == 1 and origins[0].lower() in services_of(connection).settings.allowed_origins


def _single(values: list[str]) -> list[str]:
    """Return the only value; two Hosts are none."""
    return values if len(values) == 1 else []


def _endpoint(match: re.Match[str], default_port: int) -> tuple[str, int]:
    return match["host"], int(match["port"] or default_port)
