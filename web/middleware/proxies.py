"""Replace the address of the other end by that of the caller behind trusted proxies, for all that comes after."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from portal.core.proxies import TrustedProxies


class TrustedProxiesMiddleware:
    """ASGI middleware, the outermost: `scope["client"]` is the caller, for sockets as for requests."""

    def __init__(self, app: ASGIApp, *, proxies: TrustedProxies) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client and self._proxies.is_trusted(client[0]):
            headers = Headers(scope=scope)
            lines = headers.getlist("X-Forwarded-For"), headers.getlist("Forwarded")
            scope["client"] = (self._proxies.find_caller(client[0], *lines), 0)
        await self._app(scope, receive, send)
