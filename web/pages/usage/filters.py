"""What the usage pages show, as their addresses carry it: range and filters."""

from typing import Any
from urllib.parse import urlencode

from portal.core.environments import ENVIRONMENTS
from web.pages.framework.page import PageRequest
from web.pages.usage.time_range import DEFAULT, PRESETS, Window, chosen_window

FILTERS = ("key", "endpoint", "outcome", "environment")
NO_ENDPOINT = "-"  # the address cannot tell an empty filter from none
OUTCOMES = (
    *("VALID", "RATE_LIMITED", "QUOTA_EXCEEDED", "INSUFFICIENT_SCOPE", "IP_NOT_ALLOWED", "DISABLED", "REVOKED"),
    *("EXPIRED", "ACCOUNT_SUSPENDED", "SIGNATURE_INVALID", "SPEND_CAP_REACHED"),
)


def chosen(page_request: PageRequest) -> dict[str, str]:
    """Range and filters; anything unknown counts as not said."""
    preset, environment = page_request.query("range"), page_request.query("environment")
    return {
        "range": preset if preset in PRESETS else DEFAULT,
        "from": page_request.query("from"),
        "to": page_request.query("to"),
        "key": page_request.query("key"),
        "endpoint": page_request.query("endpoint"),
        "outcome": page_request.query("outcome"),
        "environment": environment if environment in ENVIRONMENTS else "",
    }


def window_of(page_request: PageRequest) -> Window:
    return chosen_window(
        page_request.query("range"),
        page_request.query("from"),
        page_request.query("to"),
        page_request.now,
        page_request.zone,
    )


def address(path: str, known: dict[str, str], **changed: str) -> str:
    """The page's address with these choices."""
    said = {name: value for name, value in {**known, **changed}.items() if value}
    if said.get("range") != "custom":
        said.pop("from", None)
        said.pop("to", None)
    return f"{path}?{urlencode(said)}"


def filter_of(known: dict[str, str]) -> dict[str, str] | None:
    """The GraphQL filter."""
    wanted = {
        "keyId": known["key"],
        "resource": known["endpoint"],
        "outcome": known["outcome"],
        "environment": known["environment"].upper(),
    }
    said = {name: value for name, value in wanted.items() if value}
    if known["endpoint"] == NO_ENDPOINT:
        said["resource"] = ""
    return said or None


def is_filtered(known: dict[str, str]) -> bool:
    return any(known[name] for name in FILTERS)


def shared_view(known: dict[str, str], window: Window, data: dict[str, Any]) -> dict[str, Any]:
    """What the filters' form needs."""
    return {
        "known": known,
        "window": window,
        "presets": PRESETS,
        "outcomes": OUTCOMES,
        "no_endpoint": NO_ENDPOINT,
        "key_names": {key["id"]: key["name"] for key in data["keys"]["nodes"]},
        "is_filtered": is_filtered(known),
    }
