"""What every resolver gets: who asks, the operation's one transaction, its loaders."""

from functools import cached_property

import strawberry
from graphql import DocumentNode

from portal.accounts import Person
from portal.core.actor import Actor, not_signed_in
from portal.core.database import Tx
from portal.core.settings import Caps
from portal.graphql.engine.loaders import Loaders
from portal.graphql.live import SubscriptionHub
from portal.limits import Limiter


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
