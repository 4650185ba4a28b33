"""What the key forms send, as variables of their mutations. Raises Invalid with the form's field."""

from datetime import date, timedelta
from typing import Any

from portal.core.errors import Invalid
from web.pages.framework.date_ranges import local_day, midnight
from web.pages.framework.form import Form
from web.pages.framework.formatting import parse_instant
from web.pages.framework.page import Asked

EXPIRY_DAYS = {"30d": 30, "90d": 90, "1y": 365}
OVERLAPS = {"0": "Now", "3600": "1 h", "86400": "24 h", "259200": "3 d", "604800": "7 d"}


def new_key(asked: Asked) -> dict[str, Any]:
    form = _form(asked)
    return {
        "input": {
            "name": form.text("name"),
            "environment": "TEST" if form.text("environment") == "test" else "LIVE",
            "scopes": form.parts("scopes"),
            "allowedIps": form.parts("allowedIps"),
            "expiresAt": _preset_expiry(asked, form),
        }
    }


def changed_key(asked: Asked) -> dict[str, Any]:
    """The expiry is sent only if its day changed, so that saving a name never moves it."""
    form = _form(asked)
    changes = {
        "id": asked.request.path_params["id"],
        "name": form.text("name"),
        "scopes": form.parts("scopes"),
        "allowedIps": form.parts("allowedIps"),
    }
    day = form.text("expiresAt")
    if day != form.text("expiresBefore"):
        changes["expiresAt"] = _end_of(day, asked.zone) if day else None
    return {"input": changes}


def rotated_key(asked: Asked) -> dict[str, Any]:
    overlap = _form(asked).text("overlapSeconds")
    if overlap not in OVERLAPS:
        raise Invalid("Choose how long the present secret keeps working.", path=("overlapSeconds",))
    return {"id": asked.request.path_params["id"], "overlapSeconds": int(overlap)}


def revoked_key(asked: Asked) -> dict[str, Any]:
    """The name is typed to confirm: a guard against slips, so the form itself carries the name to compare with."""
    form = _form(asked)
    if form.text("confirm") != form.text("confirmName"):
        raise Invalid("This is not the key's name; nothing was revoked.", path=("confirm",))
    return {"id": asked.request.path_params["id"], "reason": form.text("reason")[:200] or None}


def this_key(asked: Asked) -> dict[str, Any]:
    return {"id": asked.request.path_params["id"]}


def edited(asked: Asked, key: dict[str, Any]) -> dict[str, str]:
    """What the edit form shows: what was typed, if it was refused, else what is stored."""
    stored = {
        "name": key["name"],
        "scopes": "\n".join(key["scopes"]),
        "allowedIps": "\n".join(key["allowedIps"]),
        "expiresAt": local_day(parse_instant(key["expiresAt"]), asked.zone).isoformat() if key["expiresAt"] else "",
    }
    typed = asked.form if asked.form is not None and "scopes" in asked.form else {}
    return {name: typed.get(name, value) for name, value in stored.items()} | {"expiresBefore": stored["expiresAt"]}


def _form(asked: Asked) -> Form:
    return asked.form if asked.form is not None else Form()


def _preset_expiry(asked: Asked, form: Form) -> str | None:
    preset = form.text("expiry")
    if preset in EXPIRY_DAYS:
        return (asked.now + timedelta(days=EXPIRY_DAYS[preset])).isoformat()
    return _end_of(form.text("expiresAt"), asked.zone) if preset == "date" else None


def _end_of(day: str, zone: str) -> str:
    try:
        return midnight(date.fromisoformat(day) + timedelta(days=1), zone).isoformat()
    except (ValueError, OverflowError):
        raise Invalid("Choose the day on which the key ends.", path=("expiresAt",)) from None
