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
    """Return the variables of updateKey: what was changed in the form, and the version of the key that it showed."""
    form = _form(page_request)
    changes: dict[str, Any] = {"id": page_request.request.path_params["id"]}
    if form.text("version"):
        changes["version"] = form.text("version")
    if _is_changed(form, "name"):
        changes["name"] = form.text("name")
    changes |= {name: form.parts(name) for name in ("scopes", "allowedIps") if _is_changed(form, name)}
    if _is_changed(form, "expiresAt"):
        day = form.text("expiresAt")
        changes["expiresAt"] = _end_of(day, page_request.zone) if day else None
    return {"input": changes}


def _is_changed(form: Form, name: str) -> bool:
    """Return whether the form changes a field. One that does not say what it showed before changes all it has."""
    if name == "expiresAt":
        return name in form and form.text(name) != form.text("expiresBefore")
    before = f"{name}Before"
    return name in form and (before not in form or form.parts(name) != form.parts(before))


def rotate_variables(page_request: PageRequest) -> dict[str, Any]:
    """Return the variables of rotateKey. What ends a secret at once needs a second yes."""
    form = _form(page_request)
    overlap = form.choice("overlapSeconds", OVERLAPS, "Choose how long the current secret keeps working.")
    if (overlap == "0" or form.text("endsOldest")) and not form.text("sure"):
        raise Invalid(
            "Tick this box, or choose an overlap: programs that send the old secret will stop.", path=("sure",)
        )
    current = {"currentSecretId": form.text("currentSecretId")} if form.text("currentSecretId") else {}
    return {"id": page_request.request.path_params["id"], "overlapSeconds": int(overlap), **current}


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
    """Return what the edit form shows: what was typed, if it was refused or never sent, else what is stored.

    `…Before` is what is stored, so that saving again sends what was typed and nothing else; `…Now` is what somebody
    else has stored meanwhile in a field. A form that was only now refused has been told of that: it may be saved over.
    """
    stored = {
        "name": key["name"],
        "scopes": "\n".join(key["scopes"]),
        "allowedIps": "\n".join(key["allowedIps"]),
        "expiresAt": local_day(parse_instant(key["expiresAt"]), page_request.zone).isoformat()
        if key["expiresAt"]
        else "",
    }
    form = _form(page_request) if "scopes" in _form(page_request) else Form()
    is_restored = page_request.request.method == "GET"
    fields = {"version": form.text("version") or key["version"] if is_restored else key["version"]}
    for name, value in stored.items():
        before = "expiresBefore" if name == "expiresAt" else f"{name}Before"
        fields[name] = form[name] if name in form and _is_changed(form, name) else value
        fields[before] = value
        is_other = before in form and form.parts(before) != Form({name: value}).parts(name)
        fields[f"{name}Now"] = (value or "(empty)") if is_other else ""
    return fields


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
