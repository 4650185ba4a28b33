"""All domains joined into one schema, and its text."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any

import strawberry
from graphql import GraphQLSchema
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig

from portal.graphql.engine.operation import Info
from portal.graphql.engine.pagination import Node
from portal.graphql.engine.resolvers import resolver
from portal.graphql.engine.scalars import SCALARS
from portal.graphql.types.accounts import AccountMutations, AccountQueries, find_account, find_person
from portal.graphql.types.audit import AuditQueries, find_audit_event
from portal.graphql.types.invoices import InvoiceQueries, find_invoice
from portal.graphql.types.key_health import KeyHealthQueries
from portal.graphql.types.key_limits import KeyLimitMutations
from portal.graphql.types.key_mutations import KeyMutations
from portal.graphql.types.keys import KeyQueries, find_key
from portal.graphql.types.personal_tokens import PersonalTokenMutations, PersonalTokenQueries, find_personal_token
from portal.graphql.types.plans.catalogue import CatalogueMutations, CatalogueQueries
from portal.graphql.types.plans.changes import PlanChangeMutations, PlanChangeQueries
from portal.graphql.types.plans.plan import PlanQueries, find_plan
from portal.graphql.types.requests import RequestQueries, find_request
from portal.graphql.types.service_tokens import ServiceTokenMutations, ServiceTokenQueries, find_service_token
from portal.graphql.types.sessions import SessionMutations, SessionQueries, find_session
from portal.graphql.types.subscriptions import Live
from portal.graphql.types.usage import UsageQueries

FINDERS: dict[str, Callable[[Info, str], Awaitable[Node | None]]] = {
    "acct": find_account,
    "aud": find_audit_event,
    "inv": find_invoice,
    "key": find_key,
    "pat": find_personal_token,
    "plan": find_plan,
    "req": find_request,
    "ses": find_session,
    "svc": find_service_token,
    "usr": find_person,
}


@strawberry.type(description="Everything that can be read. It is all about the caller's own account.")
class Query(
    AccountQueries,
    SessionQueries,
    PersonalTokenQueries,
    ServiceTokenQueries,
    KeyQueries,
    KeyHealthQueries,
    PlanQueries,
    PlanChangeQueries,
    CatalogueQueries,
    UsageQueries,
    RequestQueries,
    InvoiceQueries,
    AuditQueries,
):
    @resolver("Any object of the account by its id, or null if there is none.")
    async def node(
        self,
        info: Info,
        node_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="Id of the object.")],
    ) -> Node | None:
        info.context.require_caller()
        find = FINDERS.get(node_id.partition("_")[0])
        return await find(info, node_id) if find else None


@strawberry.type(description="Everything that can be changed. Each mutation returns its success type or a Problem.")
class Mutation(
    KeyMutations,
    KeyLimitMutations,
    PlanChangeMutations,
    CatalogueMutations,
    AccountMutations,
    SessionMutations,
    PersonalTokenMutations,
    ServiceTokenMutations,
):
    pass


class _UsePrepared(SchemaExtension):
    """Runs the document that portal.graphql.engine.validation has parsed and validated, instead of doing both again."""

    def on_operation(self) -> Iterator[None]:
        self.execution_context.graphql_document = self.execution_context.context.document
        self.execution_context.pre_execution_errors = []
        yield


class PortalSchema(strawberry.Schema):
    """Strawberry's schema; errors are logged by portal.graphql.engine.errors, which knows the request id."""

    @property
    def graphql_schema(self) -> GraphQLSchema:
        return self._schema

    def process_errors(self, errors: list[Any], execution_context: Any = None) -> None:
        """Nothing here, so that expected errors leave no traceback."""


schema = PortalSchema(
    query=Query,
    mutation=Mutation,
    subscription=Live,
    extensions=[_UsePrepared],
    config=StrawberryConfig(scalar_map=SCALARS),
)


def sdl() -> str:
    """Return the contract as text: what schema.graphql holds."""
    return schema.as_str() + "\n"
