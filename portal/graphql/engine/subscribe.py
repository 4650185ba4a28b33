"""Run a subscription: a source of events, each worked out like a query of its own, in a transaction of its own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from typing import Any

from graphql import ExecutionResult, GraphQLError, OperationType
from graphql.execution import Executor, create_source_event_stream, execute_subscription_event

from portal.accounts import Person
from portal.core.actor import Actor
from portal.core.database import Database
from portal.core.errors import PortalError, Unauthenticated
from portal.graphql.engine.errors import request_error, shown_errors
from portal.graphql.engine.execute import run_prepared
from portal.graphql.engine.operation import GraphQLContext, Options, Result, refused
from portal.graphql.engine.prepare import PreparedOperation, charge, prepare_operation, rate_limit_refusal
from portal.graphql.live import SubscriptionHub
from portal.graphql.schema import schema
from portal.graphql.types.subscriptions import UsageTick


@dataclass(frozen=True, slots=True)
class SubscriptionContext:
    """Where a subscription runs."""

    database: Database
    hub: SubscriptionHub


async def open_stream(
    place: SubscriptionContext,
    caller: tuple[Actor, Person | None],
    document: str,
    variables: Mapping[str, Any] | None,
    options: Options,
) -> Result | AsyncGenerator[Result, None]:
    """Return the result of a query, a mutation or a refusal, or the stream of a subscription, which must be closed.

    A stream that ends by an error says so with a last result that has not started.
    """
    prepared = await prepare_operation(caller[0], document, variables, options, is_stream=True)
    if isinstance(prepared, Result):
        return prepared
    if prepared.kind is not OperationType.SUBSCRIPTION:
        return await run_prepared(place.database, caller, prepared, options)
    if caller[0].kind == "anonymous":
        return refused(request_error(Unauthenticated.code, "You are not signed in."), cost=prepared.cost)
    return _Stream(place, caller, prepared, options).answers()


@dataclass(frozen=True, slots=True)
class _Stream:
    place: SubscriptionContext
    caller: tuple[Actor, Person | None]
    prepared: PreparedOperation
    options: Options

    async def answers(self) -> AsyncGenerator[Result, None]:
        try:
            source = await self._source()
            if isinstance(source, ExecutionResult):
                yield self._failed(source.errors or [])
                return
            async with aclosing(source):
                async for event in source:
                    result = await self._charge_event(event) or await self._run_event(event)
                    yield result
                    if not result.has_started:
                        return
        except PortalError as error:
            yield self._failed([GraphQLError(error.message, original_error=error)])

    async def _source(self) -> Any:
        context = self._context()
        context.hub = self.place.hub
        source = create_source_event_stream(self._executor(context, None))
        return source if isinstance(source, ExecutionResult | AsyncIterable) else await source

    async def _charge_event(self, event: Any) -> Result | None:
        """Charge for an event that reads the database; return the refusal that ends the stream where it is too much."""
        if isinstance(event, UsageTick) or self.options.charge is None:
            return None
        cost = await charge(self.caller[0], self.prepared.cost.requested, self.options)
        return rate_limit_refusal(cost) if cost.is_refused else None

    async def _run_event(self, event: Any) -> Result:
        """Return one event as the operation asks for it; only some read the database."""
        actor = self.caller[0]
        is_plain = isinstance(event, UsageTick)
        context = self._context()
        try:
            async with asyncio.timeout(self.options.timeout_seconds), self.place.hub.telling:
                transaction = nullcontext() if is_plain else self.place.database.transaction(actor=actor)
                async with transaction as tx:
                    context.open(tx)
                    try:
                        outcome = execute_subscription_event(self._executor(context, event))
                        answer = outcome if isinstance(outcome, ExecutionResult) else await outcome
                    finally:
                        if tx is not None:
                            await tx.finish_statements()
        except TimeoutError:
            return Result(None, [request_error("TIMEOUT", "This event took too long to work out.")])
        except Exception as error:
            return Result(None, self._failed([GraphQLError(str(error), original_error=error)]).errors)
        return Result(answer.data, shown_errors(answer.errors or [], self.options.request_id))

    def _context(self) -> GraphQLContext:
        return GraphQLContext(*self.caller, self.prepared.document, self.options.key_prefix, self.options.limiter)

    def _executor(self, context: GraphQLContext, event: Any) -> Executor[Any]:
        executor = Executor.build(
            schema.graphql_schema,
            self.prepared.document,
            root_value=event,
            context_value=context,
            raw_variable_values=self.prepared.variables,
            operation_name=self.options.operation_name,
        )
        assert isinstance(executor, Executor)  # noqa: S101  # what could be wrong was checked on admission
        return executor

    def _failed(self, errors: list[GraphQLError]) -> Result:
        return refused(*shown_errors(errors, self.options.request_id))
