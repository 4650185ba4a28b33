"""A person's own settings: sessions and tokens, and what their forms send."""

from datetime import date, timedelta
from typing import Any

from starlette.responses import Response

from portal.core.actor import Permission
from web.auth.session import signed_out
from web.pages.framework import Form, Page, PageRequest, local_day, midnight, redirect_with
from web.pages.keys.key_state import State

EXPIRIES = {"30d": "30 days", "90d": "90 days", "1y": "1 year", "never": "Never"}
ACCESSES = ("all", "chosen")
DAYS = {"30d": 30, "90d": 90, "1y": 365}
STATES = {"ACTIVE": State("good", "Active"), "EXPIRED": State("bad", "Expired"), "REVOKED": State("bad", "Revoked")}


def create_token_variables(page_request: PageRequest) -> dict[str, Any]:
    form = page_request.form or Form()
    access = form.choice("access", ACCESSES, "Choose what the token may do.", field="scopes")
    chosen = [scope.value for scope in Permission if form.get(f"scope-{scope.value}")]
    return {
        "input": {
            "name": form.text("name"),
            "scopes": chosen if access == "chosen" else None,
            "expiresAt": _expiry(page_request, form),
        }
    }


def id_variables(page_request: PageRequest) -> dict[str, Any]:
    return {"id": page_request.request.path_params["id"]}


def switch_account_variables(page_request: PageRequest) -> dict[str, Any]:
    return {"accountId": page_request.form.text("account") if page_request.form else ""}


def set_time_zone_variables(page_request: PageRequest) -> dict[str, Any]:
    return {"timeZone": page_request.form.text("timeZone") if page_request.form else ""}


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    permissions = data["viewer"]["permissions"]
    form = page_request.form or Form()
    return {
        "states": STATES,
        "chosen_zone": form.text("timeZone") or data["viewer"]["account"]["timeZone"],
        "expiries": EXPIRIES,
        "expiry": form.get("expiry", "90d"),
        "access": form.get("access", "all"),
        "scopes": [
            {"name": scope.value, "text": scope.description, "is_chosen": bool(form.get(f"scope-{scope.value}"))}
            for scope in Permission
            if scope.value in permissions
        ],
    }


async def after_revoke_session(page_request: PageRequest, result: dict[str, Any]) -> Response:
    """Lead back to the sessions; ending the current one is signing out."""
    if result["session"]["isCurrent"]:
        return signed_out(page_request.request)
    return await _back(page_request, "#sessions", "The session has ended. Its browser has to sign in again.")


async def after_revoke_other_sessions(page_request: PageRequest, result: dict[str, Any]) -> Response:
    return await _back(page_request, "#sessions", "All other sessions have ended.")


async def after_revoke_token(page_request: PageRequest, result: dict[str, Any]) -> Response:
    return await _back(page_request, "#tokens", "Revoked. The token is refused from now on.")


async def after_switch_account(page_request: PageRequest, result: dict[str, Any]) -> Response:
    return await _back(page_request, "", "You are now working in this account.")


async def after_set_time_zone(page_request: PageRequest, result: dict[str, Any]) -> Response:
    account = result["account"]
    if account["nextTimeZone"] is None:
        message = f"The time zone stays {account['timeZone']}."
    else:
        message = f"The time zone will be {account['nextTimeZone']} from the next billing period on."
    return await _back(page_request, "#time-zone", message)


async def _back(page_request: PageRequest, place: str, message: str) -> Response:
    return await redirect_with(page_request.request, page_request.visitor, f"/settings{place}", message)


def _expiry(page_request: PageRequest, form: Form) -> str | None:
    """Return the end of the last day in the account's zone, None for never. Raises Invalid for an unknown choice."""
    preset = form.choice("expiry", EXPIRIES, "Choose when the token expires.", field="expiresAt")
    if preset not in DAYS:
        return None
    last_day: date = local_day(page_request.now, page_request.zone) + timedelta(days=DAYS[preset])
    return midnight(last_day + timedelta(days=1), page_request.zone).isoformat()


PAGE = Page("/settings", "settings/personal", view=view)
