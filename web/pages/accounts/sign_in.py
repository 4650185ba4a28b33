"""Sign in, sign up, sign out: the pages that work without a session."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from portal.accounts import (
    Credentials,
    NewAccount,
    SignedIn,
    hash_new_password,
    open_session,
    sign_in,
    sign_out,
    sign_up,
)
from portal.core.errors import Conflict, Invalid, PortalError, TooManyAttempts
from web.auth.session import (
    SIGNED_OUT_COOKIE,
    current_visitor,
    device_marks,
    safe_next,
    session_token,
    set_device,
    set_session,
    signed_out,
)
from web.http import client_address
from web.pages.framework import Form, Problem, lead_from_secret, leave_note, read_form, render, typed_fields
from web.services import services_of

_REFUSALS = (Invalid, Conflict, TooManyAttempts)
UTC = "UTC"
"""The zone of an account whose form names none, as that of an older version."""
SIGN_IN = "accounts/sign_in"
SIGN_UP = "accounts/sign_up"
_FIELDS = {"accountName": "account"}
TYPED = "typed."
"""In front of the names of fields that an ended session's form had, while they wait in the sign-in page."""


async def get_sign_in(request: Request) -> Response:
    """Show the sign-in page; whoever is signed in goes on."""
    if masked := lead_from_secret(request):
        return masked
    target = safe_next(request.query_params.get("next"))
    if await current_visitor(request):
        return RedirectResponse(target, 303)
    has_signed_out = SIGNED_OUT_COOKIE in request.cookies
    is_expired = bool(session_token(request)) and not has_signed_out
    response = render(
        request,
        SIGN_IN,
        {"next": target, "form": Form(), "typed": {}, "has_signed_out": has_signed_out, "is_expired": is_expired},
    )
    if has_signed_out:
        response.delete_cookie(SIGNED_OUT_COOKIE, path="/sign-in")
    return response


def show_sign_in(request: Request, target: str, form: Form) -> Response:
    """Answer a form whose session has ended: the sign-in page carries what was typed, apart from secrets."""
    typed = typed_fields(form)
    context = {"next": safe_next(target), "form": Form(), "typed": typed, "is_expired": True, "has_signed_out": False}
    return render(request, SIGN_IN, context, 401)


async def post_sign_in(request: Request) -> Response:
    """Sign in, end the session before, and go on to where the visitor was: a form that was typed there is filled."""
    form = await read_form(request)
    target = safe_next(form.text("next"))
    try:
        services = services_of(request)
        most = services.settings.max_sessions
        signed_in = await sign_in(services.database, _credentials(request, form), services.throttle, most)
        async with services.database.transaction() as tx:
            await sign_out(tx, session_token(request))
    except _REFUSALS as error:
        return _refused(request, SIGN_IN, form, error)
    typed = _typed_before(form)
    if typed:
        await leave_note(request, signed_in.session.id, target, {"form": typed})
    return _enter(request, signed_in, target)


async def get_sign_up(request: Request) -> Response:
    """Show the sign-up page; whoever is signed in goes on."""
    if masked := lead_from_secret(request):
        return masked
    if await current_visitor(request):
        return RedirectResponse(safe_next(None), 303)
    return render(request, SIGN_UP, {"form": Form()})


async def post_sign_up(request: Request) -> Response:
    """Create a person with an account, and sign them in."""
    form = await read_form(request)
    services = services_of(request)
    zone = form.text("timeZone") or UTC
    new = NewAccount(form.text("email"), form.get("password", ""), form.text("name"), form.text("account"), zone)
    try:
        await services.throttle.allow_sign_up(client_address(request))
        password_hash = await hash_new_password(new)
        async with services.database.transaction() as tx:
            person, _ = await sign_up(tx, new, address=client_address(request), password_hash=password_hash)
            signed_in = await open_session(tx, person, _credentials(request, form))
    except _REFUSALS as error:
        return _refused(request, SIGN_UP, form, error)
    return _enter(request, signed_in, safe_next(None))


async def post_sign_out(request: Request) -> Response:
    """End the session."""
    await read_form(request)
    async with services_of(request).database.transaction() as tx:
        await sign_out(tx, session_token(request))
    return signed_out(request)


def _typed_before(form: Form) -> Form:
    """Return the fields of the form that was typed before the session ended."""
    return Form({name.removeprefix(TYPED): text for name, text in form.items() if name.startswith(TYPED)})


def _credentials(request: Request, form: Form) -> Credentials:
    return Credentials(
        form.text("email"),
        form.get("password", ""),
        client_address(request),
        request.headers.get("User-Agent"),
        device_marks(request),
    )


def _enter(request: Request, signed_in: SignedIn, target: str) -> Response:
    response = RedirectResponse(target, 303)
    set_session(request, response, signed_in.token)
    set_device(request, response, signed_in.devices)
    return response


def _refused(request: Request, name: str, form: Form, error: PortalError) -> Response:
    """Show the form again. Which of address and password was wrong is not said, so it stands beside neither."""
    field = error.path[-1] if error.path and name == SIGN_UP else ""
    problem = Problem(str(error), _FIELDS.get(field, field), error.code)
    context = {
        "form": form,
        "problem": problem,
        "next": safe_next(form.text("next")),
        "typed": typed_fields(_typed_before(form)),
        "is_expired": False,
        "has_signed_out": False,
    }
    return render(request, name, context, error.http_status)


ROUTES = [
    Route("/sign-in", get_sign_in, methods=["GET"]),
    Route("/sign-in", post_sign_in, methods=["POST"]),
    Route("/sign-up", get_sign_up, methods=["GET"]),
    Route("/sign-up", post_sign_up, methods=["POST"]),
    Route("/sign-out", post_sign_out, methods=["POST"]),
]
