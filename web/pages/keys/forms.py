"""What the key forms send, as variables of their mutations. All raise Invalid with the form's field."""

from datetime import date, timedelta
from typing import Any

from portal.core.environments import ENVIRONMENTS
from portal.core.errors import Invalid
from web.pages.framework import Form, PageRequest, local_day, midnight, parse_instant

EXPIRY_DAYS = {"30d": 30, "90d": 90, "1y": 365}
EXPIRIES = {"never": "Never", "30d": "30 days", "90d": "90 days", "1y": "1 year", "date": "On a date"}
OVERLAPS = {"0": "Now", "3600": "1 h", "86400": "24 h", "259200": "3 d", "604800": "7 d"}


def create_variables(page_request: PageRequest) -> dict[str, Any]:
    """Return the variables of createKey."""
    form = _form(page_request)
    return {
        "input": {
            "name": form.text("name"),
            "environment": form.choice("environment", ENVIRONMENTS, "Choose what the key is for.").upper(),
            "scopes": form.parts("scopes"),
            "allowedIps": form.parts("allowedIps"),
            "expiresAt": _preset_expiry(page_request, form),
        }
    }


def update_variables(page_request: PageRequest) -> dict[str, Any]:
    """Return the variables of updateKey. A field that was not sent stays as it is: empty, it may mean more rights.

    The expiry is among them only if its day changed: saving a name never moves it.
    """
    form = _form(page_request)
    changes: dict[str, Any] = {"id": page_request.request.path_params["id"]}
    if "name" in form:
        changes["name"] = form.text("name")
    changes |= {name: form.parts(name) for name in ("scopes", "allowedIps") if name in form}
    day = form.text("expiresAt")
    if "expiresAt" in form and day != form.text("expiresBefore"):
        changes["expiresAt"] = _end_of(day, page_request.zone) if day else None
    return {"input": changes}


def rotate_variables(page_request: PageRequest) -> dict[str, Any]:
    """Return the variables of rotateKey."""
    overlap = _form(page_request).choice(
        "overlapSeconds", OVERLAPS, "Choose how long the current secret keeps working."
    )
    return {"id": page_request.request.path_params["id"], "overlapSeconds": int(overlap)}


def revoke_variables(page_request: PageRequest) -> dict[str, Any]:
    """Return the variables of revokeKey once the name was typed; against slips only, so the form carries the name."""
    form = _form(page_request)
    if not form.text("confirm") or form.text("confirm") != form.text("confirmName"):
        raise Invalid("This does not match the key's name. Nothing was revoked.", path=("confirm",))
    return {"id": page_request.request.path_params["id"], "reason": form.text("reason")[:200] or None}


def id_variables(page_request: PageRequest) -> dict[str, Any]:
    """Return the id that the address names."""
    return {"id": page_request.request.path_params["id"]}


def edit_fields(page_request: PageRequest, key: dict[str, Any]) -> dict[str, str]:
    """Return what the edit form shows: what was submitted, if it was refused, else what is stored."""
    stored = {
        "name": key["name"],
        "scopes": "\n".join(key["scopes"]),
        "allowedIps": "\n".join(key["allowedIps"]),
        "expiresAt": local_day(parse_instant(key["expiresAt"]), page_request.zone).isoformat()
        if key["expiresAt"]
        else "",
    }
    submitted = page_request.form if page_request.form is not None and "scopes" in page_request.form else {}
    return {name: submitted.get(name, value) for name, value in stored.items()} | {"expiresBefore": stored["expiresAt"]}


def _form(page_request: PageRequest) -> Form:
    return page_request.form if page_request.form is not None else Form()


def _preset_expiry(page_request: PageRequest, form: Form) -> str | None:
    preset = form.choice("expiry", EXPIRIES, "Choose when the key expires.", field="expiresAt")
    if preset in EXPIRY_DAYS:
        return (page_request.now + timedelta(days=EXPIRY_DAYS[preset])).isoformat()
    return _end_of(form.text("expiresAt"), page_request.zone) if preset == "date" else None


def _end_of(day: str, zone: str) -> str:
    try:
        return midnight(date.fromisoformat(day) + timedelta(days=1), zone).isoformat()
    except (ValueError, OverflowError):
        raise Invalid("Choose the day on which the key expires.", path=("expiresAt",)) from None
