"""What every resolver gets: who asks, the operation's one transaction, its loaders."""

from functools import cached_property

import strawberry
from graphql import DocumentNode

from portal.accounts import Person
from portal.core.actor import Actor, Permission
from portal.core.database import Tx
from portal.core.errors import Unauthenticated
from portal.graphql.engine.loaders import Loaders
from portal.graphql.live import SubscriptionHub
from portal.limits import Limiter


class GraphQLContext:
    """One operation. Nobody has no transaction, so a field that forgets to ask who calls has nothing to show."""

    hub: SubscriptionHub | None = None
    """Only a subscription has them."""

    def __init__(
        self, actor: Actor, person: Person | None, document: DocumentNode, key_prefix: str, limiter: Limiter | None
    ) -> None:
        self.actor = actor
        self.person = person
        self.document = document
        self.key_prefix = key_prefix
        self.limiter = limiter
        self._tx: Tx | None = None

    def open(self, tx: Tx | None) -> None:
        """Hand over the operation's transaction."""
        self._tx = tx

    @property
    def tx(self) -> Tx:
        """Raises Unauthenticated for nobody."""
        if self._tx is None:
            raise Unauthenticated(
                "You are not signed in.", hint="Sign in, or send a personal token as Authorization: Bearer pat_…."
            )
        return self._tx

    @cached_property
    def loaders(self) -> Loaders:
        return Loaders(self.tx, self.actor.account_id, self.limiter)

    def require_caller(self) -> None:
        """Raises Unauthenticated for nobody."""
        _ = self.tx

    def permitted(self, permission: Permission) -> Tx:
        """The transaction, for a caller who may. Raises Unauthenticated, Forbidden."""
        tx = self.tx
        self.actor.require(permission)
        return tx


Info = strawberry.Info[GraphQLContext, None]
