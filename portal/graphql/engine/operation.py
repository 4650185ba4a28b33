"""One operation: its options beside its document, what its resolvers get, what it costs, and its result."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import strawberry
from graphql import DocumentNode, GraphQLError

from portal.accounts import Person
from portal.core.actor import Actor, not_signed_in
from portal.core.database import Tx
from portal.core.ids import new_id
from portal.core.settings import Caps
from portal.graphql.engine.loaders import Loaders
from portal.graphql.engine.rate_limit import RateLimitResult
from portal.graphql.live import SubscriptionHub
from portal.limits import Limiter

TIMEOUT_SECONDS = 2.0
FindRefusal = Callable[[Actor], RateLimitResult | None]
Charge = Callable[[Actor, int], Awaitable[RateLimitResult | None]]


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A mutation that may be sent again: `name` is the caller's, `credential` what proves who the caller is."""

    name: str
    credential: str


class RunOnce(Protocol):
    """Lets a mutation run at most once; both are called in its own transaction."""

    async def acquire(self, tx: Tx, actor: Actor) -> None:
        """Return when this is the first to run; raise a PortalError for any other."""

    async def finish(self, tx: Tx, data: dict[str, Any]) -> None:
        """Take what the mutation answered, its success or a Problem."""


@dataclass(frozen=True, slots=True)
class Options:
    """What else a request may say. `is_read_only` refuses mutations; masked errors quote `request_id`.

    Without a `limiter` the live state of limits is not known; without `charge` nothing is taken from anybody's
    allowance, as for the portal's own pages; `find_refusal` says who is refused unread. Without `caps` any number of
    keys and tokens may be made. `idempotency_key` is a program's, `once` a page's form.
    """

    operation_name: str | None = None
    is_read_only: bool = False
    key_prefix: str = "pk"
    request_id: str = field(default_factory=lambda: new_id("gql"))
    timeout_seconds: float = TIMEOUT_SECONDS
    limiter: Limiter | None = None
    caps: Caps | None = None
    charge: Charge | None = None
    find_refusal: FindRefusal | None = None
    idempotency_key: IdempotencyKey | None = None
    once: RunOnce | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """`charged` is None where nobody was: a page, or Redis was away."""

    requested: int
    charged: RateLimitResult | None = None

    @property
    def is_refused(self) -> bool:
        return self.charged is not None and self.charged.retry_seconds is not None

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"requested": self.requested}
        if self.charged is not None:
            document |= {
                "limit": self.charged.limit,
                "remaining": self.charged.remaining,
                "resetSeconds": self.charged.reset_seconds,
            }
        return document


@dataclass(frozen=True, slots=True)
class Result:
    """`has_started` is False where the operation did not run; then the answer has no `data` entry at all.

    `is_repeated`: the answer of an earlier request with the same idempotency key.
    """

    data: dict[str, Any] | None
    errors: Sequence[GraphQLError] = ()
    has_started: bool = True
    cost: Cost | None = None
    is_repeated: bool = False
    is_mutation: bool = False

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"errors": [error.formatted for error in self.errors]} if self.errors else {}
        if self.has_started:
            document["data"] = self.data
        if self.cost is not None:
            document["extensions"] = {"cost": self.cost.to_json()}
        return document


def refused(*errors: GraphQLError, cost: Cost | None = None) -> Result:
    return Result(None, errors, has_started=False, cost=cost)


class GraphQLContext:
    """One operation. An anonymous caller has no transaction, so a field without a check has nothing to show."""

    hub: SubscriptionHub | None = None
    """Only a subscription has one."""
    caps: Caps | None = None
    """Only a mutation needs them."""

    def __init__(
        self, actor: Actor, person: Person | None, document: DocumentNode, key_prefix: str, limiter: Limiter | None
    ) -> None:
        self.actor = actor
        self.person = person
        self.document = document
        self.key_prefix = key_prefix
        self.limiter = limiter
        self.problem_count = 0
        """How many of the operation's mutations answered a Problem."""
        self._tx: Tx | None = None

    def open(self, tx: Tx | None) -> None:
        """Hand over the operation's transaction."""
        self._tx = tx

    @property
    def tx(self) -> Tx:
        """The operation's transaction. Raises Unauthenticated for an anonymous caller."""
        if self._tx is None:
            raise not_signed_in()
        return self._tx

    @cached_property
    def loaders(self) -> Loaders:
        return Loaders(self.tx, self.actor.account_id, self.limiter)

    def require_caller(self) -> None:
        """Refuse an anonymous caller. Raises Unauthenticated."""
        _ = self.tx


Info = strawberry.Info[GraphQLContext, None]
