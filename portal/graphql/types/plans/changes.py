"""Changing the account's plan: what each choice would be, choosing, undoing, withdrawing, and moving by staff."""

from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry

from portal import billing, check, plans
from portal.core.actor import Permission
from portal.core.errors import Conflict, NotFound
from portal.core.ids import AccountId
from portal.graphql.engine.errors import ConflictProblem, ForbiddenProblem, NotFoundProblem
from portal.graphql.engine.operation import Info
from portal.graphql.engine.resolvers import mutation, requires, resolver
from portal.graphql.engine.scalars import BigInt, value
from portal.graphql.types.plans.plan import Plan, Price, Subscription

PlanId = Annotated[strawberry.ID, strawberry.argument(description="The plan's id.")]
PlanVersion = Annotated[
    int | None,
    strawberry.argument(description="The version that was shown. If the plan is sold in another one since: a Problem."),
]


@strawberry.enum(description="What a change of plan is, by the ranks of the plans.")
class PlanChangeKind(Enum):
    UPGRADE = value("upgrade", "Begins at once.")
    DOWNGRADE = value("downgrade", "Begins with the next billing month, and can be withdrawn until then.")
    WITHDRAWAL = value("withdrawal", "Withdraws the change that waits for the next billing month.")
    UNDO = value("undo", "Undoes today's upgrade, as if it had never been.")


@strawberry.type(description="A whole billing month on a plan, at the pace of the last 7 days.")
class MonthAtPace:
    units: BigInt = strawberry.field(description="Units that checks would admit.")
    denied: BigInt = strawberry.field(description="Units that the plan's quota would deny.")
    cost: Price = strawberry.field(description="The plan's price and its usage, before tax.")


@strawberry.type(description="What a change of plan would be if it was made now.")
class PlanChangePreview:
    terms: strawberry.Private[plans.PlanTerms]
    plan: Plan = strawberry.field(description="The plan that the account would be on from `takesEffectAt` on.")
    kind: PlanChangeKind | None = strawberry.field(
        description="What the change would be; null if it changes nothing, or is refused."
    )
    refusal: str | None = strawberry.field(description="Why the change would be refused; null if it would not.")
    takes_effect_at: datetime | None = strawberry.field(description="When it would begin; null if `kind` is.")
    today: Price | None = strawberry.field(
        description="What it adds to the fees of this billing month: below 0 for an undo. Null if `kind` is."
    )
    fees: Price | None = strawberry.field(
        description="The fees of this billing month's changes, with this one. Null if `kind` is."
    )
    next_fee: Price | None = strawberry.field(
        description="The fee of the next billing month, on the same invoice. Null if `kind` is."
    )

    @resolver("What a whole billing month on the plan would cost at the pace of the last 7 days.")
    @requires(Permission.USAGE_READ)
    async def month_at_pace(self, info: Info) -> MonthAtPace:
        loaders, account_id = info.context.loaders, info.context.actor.account_id
        period = (await loaders.situation.load(account_id)).period
        measured = await loaders.pace.load(account_id)
        units = measured.pace.units_in(int((period.end - period.start).total_seconds()))
        month = billing.price_plan_month(self.terms, units)
        cost = Price.of(month.amount, self.terms.currency)
        return MonthAtPace(units=BigInt(month.units), denied=BigInt(month.denied), cost=cost)

    @classmethod
    def of(cls, plan: plans.Plan, situation: plans.Situation, change: plans.PlanChange | None) -> Self:
        """Return the preview of a decision; None: nothing changes."""
        if change is None:
            return cls._nothing(plan, None)
        history = situation.history.with_change(change)
        following = history.next_terms
        currency = plan.currency
        return cls(
            terms=plans.terms_of(plan),
            plan=Plan.of(plan),
            kind=PlanChangeKind(change.kind.value),
            refusal=None,
            takes_effect_at=change.takes_effect_at,
            today=Price.of(plans.cost_of_change(situation.history, change), currency),
            fees=Price.of(plans.fees_so_far(history), currency),
            next_fee=Price.of(plans.fee_ahead(following), following.currency),
        )

    @classmethod
    def refused(cls, plan: plans.Plan, error: Conflict) -> Self:
        """Return the preview of a change that would be refused."""
        return cls._nothing(plan, str(error))

    @classmethod
    def _nothing(cls, plan: plans.Plan, refusal: str | None) -> Self:
        return cls(
            terms=plans.terms_of(plan),
            plan=Plan.of(plan),
            kind=None,
            refusal=refusal,
            takes_effect_at=None,
            today=None,
            fees=None,
            next_fee=None,
        )


@strawberry.type
class PlanChangeQueries:
    @resolver("What choosing a plan would be now, with its amounts; null if there is no such plan.")
    @requires(Permission.PLAN_READ)
    async def preview_plan_change(
        self, info: Info, plan_id: PlanId, version: PlanVersion = None
    ) -> PlanChangePreview | None:
        tx, actor = info.context.tx, info.context.actor
        situation = await info.context.loaders.situation.load(info.context.actor.account_id)
        try:
            plan = await plans.get_visible_plan(tx, actor, plan_id)
        except NotFound:
            return None
        try:
            terms = plans.chosen_terms(actor, plan, version, situation.history.state)
        except Conflict as error:
            return PlanChangePreview.refused(plan, error)
        return _previewed(situation, await plans.get_plan_at(tx, *terms.key))

    @resolver("What choosing each plan on offer would be now, in display order.")
    @requires(Permission.PLAN_READ)
    async def preview_plan_changes(self, info: Info) -> list[PlanChangePreview]:
        situation = await info.context.loaders.situation.load(info.context.actor.account_id)
        return [_previewed(situation, plan) for plan in await plans.list_offered_plans(info.context.tx)]

    @resolver(
        "What undoing today's upgrade would be now; null if there is none. It is a downgrade if the month's undo was "
        "used, or the units used do not fit the plan before."
    )
    @requires(Permission.PLAN_READ)
    async def preview_undo(self, info: Info) -> PlanChangePreview | None:
        situation = await info.context.loaders.situation.load(info.context.actor.account_id)
        before = plans.undoable_upgrade(situation)
        if before is None:
            return None
        plan = await plans.get_plan_at(info.context.tx, *before.terms.key)
        return PlanChangePreview.of(plan, situation, plans.decide_undo(situation).change)


def _previewed(situation: plans.Situation, plan: plans.Plan) -> PlanChangePreview:
    try:
        change = plans.decide_choice(situation, plans.terms_of(plan))
    except Conflict as error:
        return PlanChangePreview.refused(plan, error)
    return PlanChangePreview.of(plan, situation, change)


async def _used(info: Info, account_id: AccountId) -> plans.Used:
    account = await info.context.loaders.account.load(account_id)
    return await check.load_used(info.context.tx, account, info.context.limiter)


@strawberry.type(description="The choice is made: the account is on the plan, or will be with the next billing month.")
class Subscribed:
    subscription: Subscription = strawberry.field(description="The plan of now, and the one that is to come.")


@strawberry.type(description="The upgrade is undone, or the plan before it begins with the next billing month.")
class PlanUpgradeUndone:
    subscription: Subscription = strawberry.field(description="The plan of now, and the one that is to come.")
    is_downgrade: bool = strawberry.field(
        description="Whether the plan before begins with the next billing month instead: the month's undo was used, or "
        "the units used do not fit that plan."
    )


@strawberry.type(description="No change of plan is pending any more.")
class PlanChangeWithdrawn:
    subscription: Subscription = strawberry.field(description="The plan, which stays.")


@strawberry.type(description="The account is on the plan.")
class AccountMoved:
    subscription: Subscription = strawberry.field(description="The account's plan.")


SubscribeResult = Annotated[
    Subscribed | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("SubscribeResult", description="Result of subscribe."),
]
UndoPlanUpgradeResult = Annotated[
    PlanUpgradeUndone | ForbiddenProblem | ConflictProblem,
    strawberry.union("UndoPlanUpgradeResult", description="Result of undoPlanUpgrade."),
]
WithdrawPlanChangeResult = Annotated[
    PlanChangeWithdrawn | ForbiddenProblem,
    strawberry.union("WithdrawPlanChangeResult", description="Result of withdrawPlanChange."),
]
MoveAccountResult = Annotated[
    AccountMoved | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("MoveAccountResult", description="Result of moveAccount."),
]


@strawberry.type
class PlanChangeMutations:
    @mutation(
        "Choose a plan. One of higher rank begins at once: when this is answered, its limits and quota apply to every "
        "check. One of lower rank, or another version of the present plan, begins with the next billing month. The "
        "present plan withdraws what is pending.",
        plans.subscribe,
    )
    async def subscribe(self, info: Info, plan_id: PlanId, version: PlanVersion = None) -> SubscribeResult:
        tx, actor = info.context.tx, info.context.actor
        actor.require(Permission.PLAN_WRITE)
        used = await _used(info, actor.account_id)
        return Subscribed(subscription=Subscription.of(await plans.subscribe(tx, actor, plan_id, version, used=used)))

    @mutation(
        "Undo today's upgrade: plan, limits and what was pending are as before, and it costs nothing. Once a billing "
        "month, and only if the units used fit the plan before.",
        plans.undo_plan_upgrade,
    )
    async def undo_plan_upgrade(self, info: Info) -> UndoPlanUpgradeResult:
        tx, actor = info.context.tx, info.context.actor
        actor.require(Permission.PLAN_WRITE)
        chosen, decision = await plans.undo_plan_upgrade(tx, actor, used=await _used(info, actor.account_id))
        return PlanUpgradeUndone(subscription=Subscription.of(chosen), is_downgrade=decision.is_downgrade)

    @mutation(
        "Keep the present plan: withdraw the change that is pending, if there is one.", plans.withdraw_plan_change
    )
    async def withdraw_plan_change(self, info: Info) -> WithdrawPlanChangeResult:
        chosen = await plans.withdraw_plan_change(info.context.tx, info.context.actor)
        return PlanChangeWithdrawn(subscription=Subscription.of(chosen))

    @mutation(
        "Move an account to a plan at once, whichever way. What was pending is dropped. For the provider's staff.",
        plans.move_account,
    )
    async def move_account(
        self,
        info: Info,
        account_id: Annotated[strawberry.ID, strawberry.argument(description="The account's id.")],
        plan_id: PlanId,
    ) -> MoveAccountResult:
        info.context.actor.require(Permission.STAFF)
        tx, actor = info.context.tx, replace(info.context.actor, account_id=AccountId(account_id), role=None)
        async with tx.acting_for(actor.account_id):
            used = await _used(info, actor.account_id)
            return AccountMoved(subscription=Subscription.of(await plans.move_account(tx, actor, plan_id, used=used)))
