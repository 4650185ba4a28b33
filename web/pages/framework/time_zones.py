"""The time zones of a select, by region."""

from functools import lru_cache

from portal.accounts import list_time_zones

PLAIN = "UTC"
OTHER = "Other names"


@lru_cache(maxsize=1)
def time_zone_groups() -> dict[str, list[tuple[str, str]]]:
    """Return region → (name, text) of its zones, in order; those without a region come last."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name in list_time_zones():
        region, _, place = name.partition("/")
        if name != PLAIN:
            groups.setdefault(region if place and region != "Etc" else OTHER, []).append((name, _text(place or region)))
    without_region = groups.pop(OTHER, [])
    return {**groups, OTHER: without_region}


def _text(place: str) -> str:
    return place.replace("_", " ").replace("/", ", ")
