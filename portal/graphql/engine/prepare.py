"""From a request to an operation that may run: safe, its variables right, within what may be asked, and paid for."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    Visitor,
    get_operation_ast,
    visit,
)
from graphql.execution.values import get_variable_values

from portal.core.actor import Actor
from portal.core.errors import Invalid
from portal.core.json import nests_deeper
from portal.graphql.engine.cost import MAX_COST, cost_of
from portal.graphql.engine.errors import request_error
from portal.graphql.engine.operation import Cost, Options, Result, refused
from portal.graphql.engine.rate_limit import REFUSED_COST
from portal.graphql.engine.validation import MAX_ERRORS, MAX_NESTING, prepare
from portal.graphql.schema import schema

MUTATION_BY_GET = "MUTATION_BY_GET"
RATE_LIMITED = "RATE_LIMITED"
SUBSCRIPTION = "SUBSCRIPTION"
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_WRITTEN_NUL = re.compile(r"\\u(?:0000|\{0+\})|\x00")


@dataclass(frozen=True, slots=True)
class PreparedOperation:
    """An operation that may run, and what it cost."""

    document: DocumentNode
    operation: OperationDefinitionNode
    variables: dict[str, Any]
    cost: Cost

    @property
    def kind(self) -> OperationType:
        return self.operation.operation


async def prepare_operation(
    actor: Actor, text: str, variables: Mapping[str, Any] | None, options: Options, *, is_stream: bool = False
) -> PreparedOperation | Result:
    """Return the operation, or a result that says why it may not run.

    A refusal costs a little too, as reading was work; a caller who has not even that left is refused unread.
    """
    find_refusal = options.find_refusal(actor) if options.find_refusal else None
    if find_refusal is not None:
        return rate_limit_refusal(Cost(REFUSED_COST, find_refusal))
    found = _find_operation(actor, text, dict(variables or {}), options, is_stream=is_stream)
    if isinstance(found, Result):
        return await _charged_refusal(actor, found, options)
    document, operation = found
    known = dict(variables or {})
    requested = cost_of(schema.graphql_schema, document, operation, known)
    if requested > MAX_COST:
        message = f"The operation costs {requested}; at most {MAX_COST} are allowed."
        error = request_error("TOO_COSTLY", message, "Ask for smaller pages, or less below them.")
        return await _charged_refusal(actor, refused(error), options)
    cost = await charge(actor, requested, options)
    if cost.is_refused:
        return rate_limit_refusal(cost)
    return PreparedOperation(document, operation, known, cost)


def _find_operation(
    actor: Actor, text: str, variables: dict[str, Any], options: Options, *, is_stream: bool
) -> tuple[DocumentNode, OperationDefinitionNode] | Result:
    is_anonymous = actor.kind == "anonymous"
    if nests_deeper(variables, MAX_NESTING):
        return refused(request_error("TOO_LARGE", "The variables are nested too deeply.", "Make them flatter."))
    prepared = prepare(schema.graphql_schema, text, is_anonymous=is_anonymous)
    if prepared.document is None:
        return refused(*prepared.errors)
    operation = get_operation_ast(prepared.document, options.operation_name)
    if operation is None:
        return refused(request_error("BAD_OPERATION", "Name one of the document's operations in operationName."))
    if options.is_read_only and operation.operation is OperationType.MUTATION:
        return refused(request_error(MUTATION_BY_GET, "A GET only reads.", "Send mutations by POST."))
    if operation.operation is OperationType.SUBSCRIPTION and not is_stream:
        hint = "Subscribe over graphql-transport-ws, or with Accept: text/event-stream."
        return refused(request_error(SUBSCRIPTION, "A subscription has no single answer.", hint))
    errors = _variable_errors(operation, variables, is_anonymous=is_anonymous)
    if errors:
        return refused(*errors)
    is_query = operation.operation is OperationType.QUERY
    if is_query and holds_nul(text, prepared.document, variables):
        mistake = Invalid("Text must not contain U+0000.", hint="Leave that character out.")
        return refused(GraphQLError(str(mistake), original_error=mistake, extensions={"code": mistake.code}))
    return prepared.document, operation


def holds_nul(text: str, document: DocumentNode, variables: Mapping[str, Any]) -> bool:
    """Return whether any text of the request has the one character that PostgreSQL stores in none.

    One that got so far would abort the transaction, and every sibling would fail for it. A mutation has a savepoint of
    its own, and says which input is wrong.
    """
    if variables and _NUL.search(json.dumps(variables, default=str)):
        return True
    return bool(_WRITTEN_NUL.search(text)) and any("\x00" in value for value in _texts(document))


def _texts(document: DocumentNode) -> list[str]:
    found: list[str] = []

    class Collect(Visitor):
        def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
            found.append(node.value)

    visit(document, Collect())
    return found


def _variable_errors(
    operation: OperationDefinitionNode, variables: dict[str, Any], *, is_anonymous: bool
) -> list[GraphQLError]:
    """Return what is wrong with the variables, found before anything is opened for the operation."""
    values = get_variable_values(
        schema.graphql_schema,
        operation.variable_definitions or (),
        variables,
        max_errors=MAX_ERRORS,
        hide_suggestions=is_anonymous,
    )
    if not isinstance(values, list):
        return []
    return [GraphQLError(error.message, error.nodes, extensions={"code": "BAD_VARIABLES"}) for error in values]


async def charge(actor: Actor, cost: int, options: Options) -> Cost:
    """Charge the caller's rate limit, if `options` charge anybody."""
    return Cost(cost, await options.charge(actor, cost) if options.charge else None)


async def _charged_refusal(actor: Actor, result: Result, options: Options) -> Result:
    if options.charge is None:
        return result
    cost = await charge(actor, REFUSED_COST, options)
    if cost.is_refused:
        return rate_limit_refusal(cost)
    return refused(*result.errors, cost=cost)


def rate_limit_refusal(cost: Cost) -> Result:
    """Return the refusal of an operation beyond the caller's rate limit."""
    assert cost.charged is not None  # noqa: S101  # only a charge can be refused
    message = f"This costs {cost.requested}, and {cost.charged.remaining} of your allowance are left."
    hint = f"Try again in {cost.charged.retry_seconds} s."
    return refused(request_error(RATE_LIMITED, message, hint), cost=cost)
