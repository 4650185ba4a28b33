"""Enums that several domains share, and how a value of one gets its description."""

from enum import Enum

import strawberry


def value(text: str, description: str) -> str:
    """A described member; to the code it is `text`."""
    member: str = strawberry.enum_value(text, description=description)  # type: ignore[assignment]  # the enum decorator puts the text in its place
    return member


@strawberry.enum(description="What a key is for.")
class Environment(Enum):
    LIVE = value("live", "Real work; units are billed.")
    TEST = value("test", "Trying out; counted, never billed.")
