"""Relay's parts: objects with a global id, and lists that are paged by keyset cursors.

A cursor is the place after one row, (created_at, id), so pages neither skip nor repeat rows while others are added.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Generic, TypeVar

import strawberry

from portal.core.clock import from_microseconds, to_microseconds
from portal.core.errors import Invalid
from portal.graphql.engine.resolvers import resolver

MAX_FIRST = 100
MAX_CURSOR = 100
_ID = re.compile(r"^[a-z]+_[0-9A-Z]+$")
Item = TypeVar("Item")
Place = tuple[datetime, str]

First = Annotated[int, strawberry.argument(description=f"Maximum number of objects: 1 to {MAX_FIRST}.")]
After = Annotated[
    str | None,
    strawberry.argument(
        description="Return only objects after this cursor (pageInfo.endCursor); null or empty: from the first one."
    ),
]


@strawberry.interface(description="An object with a globally unique id. See Query.node.")
class Node:
    id: strawberry.ID = strawberry.field(description="Globally unique id. The prefix tells the type, as in key_01HX….")


@strawberry.type(description="Position of a page in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether another page follows.")
    has_previous_page: bool = strawberry.field(description="Whether this page starts after a cursor.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first object; null for an empty page.")
    end_cursor: str | None = strawberry.field(
        description="Cursor of the last object, for `after`; null for an empty page."
    )


@strawberry.type(description="An object of a page and its cursor.")
class Edge(Generic[Item]):
    cursor: str = strawberry.field(description="Cursor of this object, for `after`.")
    node: Item = strawberry.field(description="The object.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[Item]):
    edges: list[Edge[Item]] = strawberry.field(description="Objects of this page with their cursors.")
    page_info: PageInfo = strawberry.field(description="Position of this page in the list.")
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @resolver("Objects of this page.")
    def nodes(self) -> list[Item]:
        return [edge.node for edge in self.edges]

    @resolver("Number of objects on all pages. Counted only when requested.")
    async def total_count(self) -> int:
        return await self.count()


def check_first(first: int) -> int:
    """Return `first`. Raises Invalid outside 1 to 100."""
    if not 1 <= first <= MAX_FIRST:
        raise Invalid(f"`first` is 1 to {MAX_FIRST}.", hint="Take the rest with `after`.", path=("first",))
    return first


def encode_cursor(place: Place) -> str:
    return urlsafe_b64encode(f"{to_microseconds(place[0])} {place[1]}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> Place:
    """Return the place of a cursor. Raises Invalid for anything that `encode_cursor` did not write."""
    try:
        padding = "=" * (-len(cursor) % 4)
        micros, row_id = urlsafe_b64decode(cursor[:MAX_CURSOR] + padding).decode("ascii").split(" ")
        place = from_microseconds(int(micros)), row_id
        if not _ID.fullmatch(row_id) or encode_cursor(place) != cursor:
            raise ValueError("not as written")
        return place
    except (ValueError, OverflowError, OSError):
        raise Invalid("This is not a cursor.", hint="Take pageInfo.endCursor as it is.", path=("after",)) from None


def connection_of(
    rows: Sequence[tuple[Place, Item]], first: int, after: str | None, count: Callable[[], Awaitable[int]]
) -> Connection[Item]:
    """Return a page of `first` of these rows, of which one more was fetched to see whether another page follows."""
    edges = [Edge(cursor=encode_cursor(place), node=item) for place, item in rows[:first]]
    info = PageInfo(
        has_next_page=len(rows) > first,
        has_previous_page=bool(after),
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return Connection(edges=edges, page_info=info, count=count)
