"""What a person sees when something failed: what happened, what was kept, what to do, and the request id."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.core.actor import Permission
from portal.core.errors import PortalError
from portal.core.logs import get_log
from portal.core.outages.database_errors import is_dependency_unavailable
from portal.core.outages.rate_limited_log import RateLimitedLog
from portal.keys import mask_secrets
from web.auth.identity import Visitor
from web.auth.session import SignInNeeded, current_visitor, to_sign_in
from web.http import wants_html
from web.pages.accounts.sign_in import show_sign_in
from web.pages.framework import Form, PageTooSlow, render

_log = get_log("web")
_limited_log = RateLimitedLog("web")
_BUSY = "The portal is busy"
_TITLES = {
    400: "This request cannot be read",
    403: "Not allowed",
    404: "Page not found",
    405: "Method not allowed",
    413: "Too large",
    409: "Not possible right now",
    410: "No longer shown",
    415: "Wrong content type",
    422: "Invalid request",
    500: "Something went wrong on our side",
    503: "The database is unavailable",
}


class ErrorMiddleware:
    """ASGI middleware, inside the headers: an uncaught error becomes a page with the request id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def watching_send(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, receive, watching_send)
        except ClientDisconnect:
            raise  # nobody is there to be answered, and nothing failed
        except Exception as error:
            if has_started:
                raise
            response = _answer_uncaught(Request(scope, receive), error)
            await response(scope, receive, send)


def _answer_uncaught(request: Request, error: Exception) -> Response:
    if is_dependency_unavailable(error):
        _limited_log.warning("database_away", path=mask_secrets(request.url.path), error=repr(error))
        return problem_page(request, 503, {"Retry-After": "5"})
    if isinstance(error, PageTooSlow):
        _log.warning("page_too_slow", path=mask_secrets(request.url.path), error=str(error))
        return problem_page(request, 503, {"Retry-After": "5"}, detail="This page took too long to load.")
    _log.error("request_failed", path=mask_secrets(request.url.path), exc_info=error)
    return problem_page(request, 500)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Answer an HTTPException: 404, 405 and what forms refuse."""
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this type only
    if error.status_code == 404:
        await _look_for_visitor(request)
    return problem_page(request, error.status_code, error.headers, detail=error.detail)


async def on_portal_error(request: Request, error: Exception) -> Response:
    """Answer an address or form that asks for what cannot be; what is our fault goes on to the middleware."""
    if not isinstance(error, PortalError) or error.http_status >= 500:
        raise error
    return problem_page(request, error.http_status, detail=str(error))


async def on_sign_in_needed(request: Request, error: Exception) -> Response:
    """Lead to the sign-in page; what a form sent goes there with it."""
    assert isinstance(error, SignInNeeded)  # noqa: S101  # registered for this type only
    if error.target is None or error.typed is None or "HX-Request" in request.headers:
        return to_sign_in(request)
    return show_sign_in(request, error.target, Form(error.typed))


async def _look_for_visitor(request: Request) -> None:
    """Find out who is signed in, so that a page that is not there still has the navigation."""
    try:
        await current_visitor(request)
    except Exception as error:
        _log.info("visitor_unknown", error=repr(error))


def viewer_of(visitor: Visitor) -> dict[str, Any]:
    """Return what the layout shows of the visitor, as a page's document asks for it."""
    return {
        "person": {"name": visitor.person.name, "email": visitor.person.email},
        "account": {"name": visitor.account.name},
        "permissions": [permission.value for permission in Permission if visitor.actor.may(permission)],
    }


def problem_page(request: Request, status: int, headers: Any = None, detail: str = "") -> Response:
    """Return a page for a person, a problem document (RFC 9457) for a program."""
    title = _BUSY if status == 503 and detail else _TITLES.get(status, "This did not work")
    if not wants_html(request):
        body = {"title": title, "status": status, "detail": detail or title, "requestId": request.state.request_id}
        return JSONResponse(body, status, dict(headers or {}), media_type="application/problem+json")
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    context = {
        "frame": "layout.html" if visitor else "plain.html",
        "viewer": viewer_of(visitor) if visitor else None,
        "status": status,
        "title": title,
        "detail": detail,
        "method": request.method,
        "request_id": request.state.request_id,
        "retry": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
    }
    response = render(request, "problem", context, status)
    response.headers.update(headers or {})
    return response


EXCEPTION_HANDLERS: dict[Any, Any] = {
    HTTPException: on_http_error,
    PortalError: on_portal_error,
    SignInNeeded: on_sign_in_needed,
}
