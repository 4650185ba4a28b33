"""Run one operation in one transaction: for the HTTP endpoint, and for pages in this process, by the same rules.

All or nothing: an operation that ends with any error is undone whole, and a mutation then answers no data, so that what
a caller sees is what was kept. Problems of mutations are data and undo only themselves.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError, OperationDefinitionNode, OperationType, get_operation_ast
from graphql.execution.values import get_variable_values

from portal.accounts import Person
from portal.core.actor import Actor
from portal.core.database import Database, Tx
from portal.core.ids import new_id
from portal.graphql.context import GraphQLContext
from portal.graphql.documents import ERRORS_MOST, prepare
from portal.graphql.errors import request_error, shown_errors
from portal.graphql.schema import schema
from portal.limits import Limiter

TIMEOUT_SECONDS = 2.0
MUTATION_BY_GET = "MUTATION_BY_GET"


@dataclass(frozen=True, slots=True)
class Options:
    """What else a request may say. `is_read_only` refuses mutations; masked errors quote `request_id`.

    Without a `limiter` the live state of limits is not known.
    """

    operation_name: str | None = None
    is_read_only: bool = False
    key_prefix: str = "pk"
    request_id: str = field(default_factory=lambda: new_id("gql"))
    timeout_seconds: float = TIMEOUT_SECONDS
    limiter: Limiter | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """`has_started` is False where the operation did not run; then the answer has no `data` entry at all."""

    data: dict[str, Any] | None
    errors: Sequence[GraphQLError] = ()
    has_started: bool = True

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"errors": [error.formatted for error in self.errors]} if self.errors else {}
        return document | {"data": self.data} if self.has_started else document


GRACE_SECONDS = 0.2


class _Undo(Exception):
    """Leaves the transaction without committing it."""


async def execute(
    database: Database,
    actor: Actor,
    person: Person | None,
    document: str,
    variables: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> Result:
    """Never raises for what a caller sent; cancelling it undoes the operation."""
    options = options or Options()
    is_anonymous = actor.kind == "anonymous"
    prepared = prepare(schema.graphql_schema, document, is_anonymous=is_anonymous)
    if prepared.document is None:
        return _refused(*prepared.errors)
    operation = get_operation_ast(prepared.document, options.operation_name)
    if operation is None:
        return _refused(request_error("BAD_OPERATION", "Name one of the document's operations in operationName."))
    errors = _mistakes(operation, dict(variables or {}), options, is_anonymous=is_anonymous)
    if errors:
        return _refused(*errors)
    context = GraphQLContext(actor, person, prepared.document, options.key_prefix, options.limiter)
    run = _Run(context, operation.operation is OperationType.MUTATION, dict(variables or {}), options)
    return await (run.run() if is_anonymous else run.commit(database))


def _refused(*errors: GraphQLError) -> Result:
    return Result(None, errors, has_started=False)


def _mistakes(
    operation: OperationDefinitionNode, variables: dict[str, Any], options: Options, *, is_anonymous: bool
) -> list[GraphQLError]:
    """What keeps a valid document from starting, found before anything is opened for it."""
    if options.is_read_only and operation.operation is not OperationType.QUERY:
        return [request_error(MUTATION_BY_GET, "A GET only reads.", "Send mutations by POST.")]
    values = get_variable_values(
        schema.graphql_schema,
        operation.variable_definitions or (),
        variables,
        max_errors=ERRORS_MOST,
        hide_suggestions=is_anonymous,
    )
    if not isinstance(values, list):
        return []
    return [GraphQLError(error.message, error.nodes, extensions={"code": "BAD_VARIABLES"}) for error in values]


@dataclass(frozen=True, slots=True)
class _Run:
    context: GraphQLContext
    is_mutation: bool
    variables: dict[str, Any]
    options: Options

    async def commit(self, database: Database) -> Result:
        result: Result | None = None
        try:
            async with database.transaction(actor=self.context.actor) as tx:
                await tx.limit_statements(self.options.timeout_seconds + GRACE_SECONDS)
                result = await self.run(tx)
                await tx.settle()
                if result.errors:
                    raise _Undo
        except _Undo:
            pass
        except Exception as error:
            if result is None or not result.errors:
                return _refused(*self._shown([GraphQLError(str(error), original_error=error)]))
        assert result is not None  # noqa: S101  # every way out without a result raised
        return result  # also when undoing failed: a connection that was cut off amid a statement is not kept

    async def run(self, tx: Tx | None = None) -> Result:
        self.context.open(tx)
        try:
            async with asyncio.timeout(self.options.timeout_seconds):
                answer = await schema.execute(
                    "-", self.variables, self.context, operation_name=self.options.operation_name
                )
        except TimeoutError:
            text = f"This took longer than {self.options.timeout_seconds:g} s and was stopped."
            return _refused(request_error("TIMEOUT", text, "Ask for less."))
        errors = self._shown(answer.errors or ())
        return Result(None if errors and self.is_mutation else answer.data, errors)

    def _shown(self, errors: Sequence[GraphQLError]) -> list[GraphQLError]:
        return shown_errors(errors, self.options.request_id)
