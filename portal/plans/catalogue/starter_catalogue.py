"""The catalogue that a new installation starts with; staff change it afterwards."""

from decimal import Decimal
from typing import Any

from portal import audit
from portal.core.actor import SYSTEM
from portal.core.database import Tx
from portal.core.ids import new_id
from portal.plans import store
from portal.plans.catalogue.create_plan import CREATE
from portal.plans.models import Plan

SECOND_MS = 1_000
MINUTE_MS = 60_000


def _limit(name: str, amount: int, window_ms: int, per: str = "key") -> dict[str, str | int]:
    return {"name": name, "algorithm": "sliding_window", "amount": amount, "window_ms": window_ms, "per": per}


def _overage(included: int, *tiers: tuple[int | None, str]) -> dict[str, Any]:
    """Return a tariff: what each unit beyond the included ones costs, by how many of those there were in the month."""
    steps = [{"up_to": up_to and str(up_to), "unit": unit, "flat": "0"} for up_to, unit in tiers]
    charge = {"code": "units", "model": "graduated", "free_units": str(included), "tiers": steps}
    return {"currency": "EUR", "charges": [charge]}


STARTER_PLANS: list[dict[str, Any]] = [
    {
        "slug": "free",
        "name": "Free",
        "description": "For trying things out.",
        "price": Decimal(0),
        "monthly_quota": 10_000,
        "limits": [_limit("burst", 10, SECOND_MS), _limit("sustained", 100, MINUTE_MS)],
        "is_default": True,
    },
    {
        "slug": "pro",
        "name": "Pro",
        "description": "For production. Calls above the quota are billed, never blocked.",
        "price": Decimal(49),
        "monthly_quota": 1_000_000,
        "is_overage_allowed": True,
        "tariff": _overage(1_000_000, (9_000_000, "0.00006"), (None, "0.00004")),
        "limits": [_limit("burst", 100, SECOND_MS), _limit("sustained", 3_000, MINUTE_MS)],
    },
    {
        "slug": "enterprise",
        "name": "Enterprise",
        "description": "For large volumes, with limits for the whole account.",
        "price": Decimal(990),
        "monthly_quota": 50_000_000,
        "is_overage_allowed": True,
        "tariff": _overage(50_000_000, (None, "0.000018")),
        "limits": [_limit("burst", 5_000, SECOND_MS), _limit("account", 200_000, MINUTE_MS, per="account")],
    },
]


async def ensure_catalogue(tx: Tx) -> None:
    """Create Free (the default), Pro and Enterprise where there is no plan yet."""
    if await store.list_plans(tx):
        return
    for position, fields in enumerate(STARTER_PLANS):
        plan = await tx.insert(Plan(id=new_id("plan"), position=position, created_at=tx.now, **fields))
        await audit.record(tx, SYSTEM, CREATE, plan.id, slug=plan.slug)
