"""The request log: single counted checks, each with why it ended as it did."""

from datetime import datetime, timedelta
from typing import Annotated, Self

import strawberry

from portal import check, usage
from portal.core.actor import Permission
from portal.graphql.engine.operation import Info
from portal.graphql.engine.pagination import After, Connection, First, Node, check_first, connection_of, decode_cursor
from portal.graphql.engine.resolvers import requires, resolver
from portal.graphql.engine.scalars import BigInt, Environment
from portal.graphql.types.usage import Where, usage_filter

DEFAULT_SPAN = timedelta(days=30)


@strawberry.type(description="Why a check ended as it did, in words.")
class RequestReason:
    what: str = strawberry.field(description="What happened.")
    remedy: str | None = strawberry.field(description="What to do about it; null for an allowed check.")


@strawberry.type(description="A limit that had no room for a check.")
class DeniedLimit:
    name: str = strawberry.field(
        description="Name of the limit in answers and headers; `month` is the quota of the billing period."
    )
    limit: BigInt = strawberry.field(description="Maximum number of units at once.")
    used: BigInt | None = strawberry.field(
        description="Units in the window before the check; null if Redis was away and a part of the limit decided."
    )
    remaining: BigInt | None = strawberry.field(description="Units that were left, fewer than the check's cost.")
    window_ms: BigInt | None = strawberry.field(
        description="Length of the window in milliseconds; null for the billing period."
    )
    passes_at: datetime | None = strawberry.field(
        description="When this limit would have let the same check pass; null if never: its cost is above the limit."
    )

    @classmethod
    def of(cls, limit: usage.DeniedLimit, at: datetime) -> Self:
        return cls(
            name=limit.name,
            limit=BigInt(limit.limit),
            used=None if limit.used is None else BigInt(limit.used),
            remaining=None if limit.remaining is None else BigInt(limit.remaining),
            window_ms=BigInt(limit.window_ms) if limit.window_ms else None,
            passes_at=_later(at, limit.retry_ms),
        )


@strawberry.type(description="What a denied check lacked.")
class RequestDenial:
    limits: list[DeniedLimit] = strawberry.field(
        description="Limits without room, the longest wait first; a limit that the cost can never pass comes before."
    )
    missing_scopes: list[str] = strawberry.field(description="Scopes that the check needed and the key did not have.")
    key_scopes: list[str] = strawberry.field(description="Scopes that the key had then, if some were missing.")
    address: str | None = strawberry.field(
        description="Address of the caller, as the gateway passed it on; null if it did not."
    )
    passes_at: datetime | None = strawberry.field(
        description="When all limits would have let the same check pass; null if never, or if no limit denied it."
    )

    @classmethod
    def of(cls, denial: usage.Denial, at: datetime) -> Self:
        return cls(
            limits=[DeniedLimit.of(limit, at) for limit in denial.limits],
            missing_scopes=[*denial.missing_scopes],
            key_scopes=[*denial.key_scopes],
            address=denial.address or None,
            passes_at=_later(at, denial.retry_ms),
        )


def _later(at: datetime, milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else at + timedelta(milliseconds=milliseconds)


@strawberry.type(description="A counted check. Its id is the `requestId` that the gateway received.")
class UsageRequest(Node):
    at: datetime = strawberry.field(description="When it was decided.")
    key_id: strawberry.ID = strawberry.field(description="The key's id.")
    secret_id: strawberry.ID = strawberry.field(description="Id of the secret that was sent.")
    environment: Environment = strawberry.field(description="Live or test.")
    resource: str = strawberry.field(description="Endpoint that was called, as named by the gateway. May be empty.")
    outcome: str = strawberry.field(description="Code of the answer, like VALID.")
    cost: BigInt = strawberry.field(description="Cost in units. Denied checks consume none.")
    period: str = strawberry.field(description="The billing period, like 2026-11.")
    settled_at: datetime | None = strawberry.field(
        description="When the reserved cost was replaced by the real one, if it was."
    )
    denial: RequestDenial | None = strawberry.field(
        description="What a denied check lacked; null for an allowed one, and if nothing is known beyond `outcome`."
    )
    lacked: strawberry.Private[usage.Denial | None]

    @classmethod
    def of(cls, row: usage.UsageRequest) -> Self:
        return cls(
            id=strawberry.ID(row.request_id),
            at=row.occurred_at,
            key_id=strawberry.ID(row.key_id),
            secret_id=strawberry.ID(row.secret_id),
            environment=Environment(row.environment),
            resource=row.resource,
            outcome=row.code,
            cost=BigInt(row.cost),
            period=row.period,
            settled_at=row.settled_at,
            denial=None if row.denial is None else RequestDenial.of(row.denial, row.occurred_at),
            lacked=row.denial,
        )

    @resolver("Current name of the key, if it exists.")
    async def key_name(self, info: Info) -> str | None:
        return await info.context.loaders.key_names.load(self.key_id)

    @resolver("Whether the check was allowed.")
    def is_allowed(self) -> bool:
        return self.outcome == check.Code.VALID

    @resolver("Why it ended as it did, and what to do about it.")
    def reason(self) -> RequestReason:
        found = check.reason_of(self.outcome, self.lacked)
        return RequestReason(what=found.what, remedy=found.remedy)


RequestId = Annotated[strawberry.ID, strawberry.argument(name="id", description="The request id, like req_06F….")]
Since = Annotated[
    datetime | None,
    strawberry.argument(name="from", description="Start of the range, inclusive; null for 30 days before `to`."),
]
Until = Annotated[
    datetime | None, strawberry.argument(name="to", description="End of the range, exclusive; null for now.")
]


@requires(Permission.USAGE_READ)
async def find_request(info: Info, request_id: str) -> UsageRequest | None:
    tx = info.context.tx
    row = await usage.find_request(tx, info.context.actor.account_id, request_id)
    return None if row is None else UsageRequest.of(row)


@strawberry.type
class RequestQueries:
    @resolver("A counted check by its request id, or null if the account has none with this id (yet).", find_request)
    async def request(self, info: Info, request_id: RequestId) -> UsageRequest | None:
        return await find_request(info, request_id)

    @resolver("Single counted checks, newest first. `totalCount` is exact.")
    @requires(Permission.USAGE_READ)
    async def requests(
        self,
        info: Info,
        start: Since = None,
        end: Until = None,
        where: Where = None,
        first: First = 25,
        after: After = None,
    ) -> Connection[UsageRequest]:
        tx, account_id = info.context.tx, info.context.actor.account_id
        last = end or tx.now
        begin = start or (last - DEFAULT_SPAN if last.year > 1 else last)
        query = usage.RequestQuery(begin, last, usage_filter(where))
        before = decode_cursor(after) if after else None
        rows = await usage.list_requests(tx, account_id, query, limit=check_first(first) + 1, after=before)
        items = [((row.occurred_at, row.request_id), UsageRequest.of(row)) for row in rows]
        return connection_of(items, first, after, lambda: usage.count_requests(tx, account_id, query))
