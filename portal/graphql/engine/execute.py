"""Run one operation in one transaction: for the HTTP endpoint, and for pages in this process, by the same rules.

All or nothing: an operation that ends with any error is undone whole, and a mutation then answers no data, so that what
a caller sees is what was kept. Problems of mutations are data and undo only themselves.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphql import GraphQLError, OperationType, print_ast

from portal.accounts import Person
from portal.core.actor import Actor
from portal.core.database import Database, Tx
from portal.graphql.engine.errors import request_error, shown_errors
from portal.graphql.engine.idempotency import acquire_slot, release_slot, slot_of, store_response
from portal.graphql.engine.operation import GraphQLContext, Options, Result, refused
from portal.graphql.engine.prepare import PreparedOperation, prepare_operation
from portal.graphql.schema import schema

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
    """Run an operation. Never raises for what a caller sent; cancelling it undoes the operation."""
    options = options or Options()
    prepared = await prepare_operation(actor, document, variables, options)
    if isinstance(prepared, Result):
        return prepared
    return await run_prepared(database, (actor, person), prepared, options)


async def run_prepared(
    database: Database, caller: tuple[Actor, Person | None], prepared: PreparedOperation, options: Options
) -> Result:
    """Run a prepared query or mutation. The result has a cost only where `options` charge somebody."""
    actor, person = caller
    context = GraphQLContext(actor, person, prepared.document, options.key_prefix, options.limiter)
    context.caps = options.caps
    run = _Run(context, prepared.kind is OperationType.MUTATION, prepared.variables, options)
    result = await (run.run() if actor.kind == "anonymous" else run.run_in_transaction(database))
    cost = prepared.cost if options.charge else None
    return replace(result, cost=cost, is_mutation=run.is_mutation)


@dataclass(frozen=True, slots=True)
class _Run:
    context: GraphQLContext
    is_mutation: bool
    variables: dict[str, Any]
    options: Options

    async def run_in_transaction(self, database: Database) -> Result:
        result: Result | None = None
        try:
            async with database.transaction(actor=self.context.actor) as tx:
                await tx.set_statement_timeout(self.options.timeout_seconds + GRACE_SECONDS)
                try:
                    result = await self._run_once(tx)
                finally:
                    await tx.finish_statements()
                if result.errors:
                    raise _Undo
        except _Undo:
            pass
        except Exception as error:
            if result is None or not result.errors:
                return refused(*self._shown([GraphQLError(str(error), original_error=error)]))
        assert result is not None  # noqa: S101  # every way out without a result raised
        return result  # also when undoing failed: a connection that was cut off amid a statement is not kept

    async def _run_once(self, tx: Tx) -> Result:
        """Run a mutation with an idempotency key the first time only. A caller whose role changed gets no replay."""
        once, idempotency_key = self.options.once, self.options.idempotency_key
        if once is not None and self.is_mutation:
            await once.acquire(tx, self.context.actor)
            result = await self.run(tx)
            if result.data is not None and not result.errors:
                await once.finish(tx, result.data)
            return result
        if idempotency_key is None or not self.is_mutation:
            return await self.run(tx)
        actor = self.context.actor
        request = (print_ast(self.context.document), self.variables, self.options.operation_name)
        slot = slot_of(actor.account_id, idempotency_key, (*request, actor.role, actor.is_staff))
        replay = await acquire_slot(tx, slot)
        if replay is not None:
            return Result(replay, is_repeated=True)
        result = await self.run(tx)
        if result.data is not None and not result.errors:
            if self.context.problem_count < sum(isinstance(field, dict) for field in result.data.values()):
                await store_response(tx, slot, result.data)
            else:
                await release_slot(tx, slot)
        return result

    async def run(self, tx: Tx | None = None) -> Result:
        self.context.open(tx)
        try:
            async with asyncio.timeout(self.options.timeout_seconds):
                answer = await schema.execute(  # "-": the document is in the context (schema._UsePrepared)
                    "-", self.variables, self.context, operation_name=self.options.operation_name
                )
        except TimeoutError:
            text = f"This took longer than {self.options.timeout_seconds:g} s and was stopped."
            return refused(request_error("TIMEOUT", text, "Ask for less."))
        errors = self._shown(answer.errors or ())
        return Result(None if errors and self.is_mutation else answer.data, errors)

    def _shown(self, errors: Sequence[GraphQLError]) -> list[GraphQLError]:
        return shown_errors(errors, self.options.request_id)
