"""The plan page: the quota as it stands, the catalogue with the present plan marked."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from web.pages.framework import Page, PageRequest, duration, money, number, percent, redirect_with, with_currency
from web.pages.plan.forecast import describe_forecast, describe_month, pace_in_words
from web.pages.plan.usage_prices import usage_prices


def subscribe_variables(page_request: PageRequest) -> dict[str, Any]:
    form = page_request.form
    version = form.text("version") if form else ""
    return {"planId": form.text("plan") if form else "", "version": int(version) if version.isdecimal() else None}


def view(page_request: PageRequest, data: dict[str, Any]) -> dict[str, Any]:
    quota = data["quota"]
    current = data["subscription"]["plan"]
    pace = pace_in_words(quota["forecast"]["since"], page_request.now)
    previews = {preview["plan"]["id"]: _preview(preview, pace) for preview in data["previewPlanChanges"]}
    return {
        "share": percent(quota["used"], quota["limit"]) if quota["limit"] else None,
        "expected": describe_forecast(quota, page_request.now),
        "cards": [
            _card(plan, previews.get(plan["id"]), is_current=plan is current)
            for plan in _plans_to_show(current, data["plans"])
        ],
        "undo": data["previewUndo"] and _preview(data["previewUndo"], pace),
        "can_change": "plan:write" in data["viewer"]["permissions"],
    }


async def after_subscribe(page_request: PageRequest, result: dict[str, Any]) -> Response:
    pending = result["subscription"]["pending"]
    if pending is None:
        return await _back(page_request, "The plan was changed. It applies to every check from now on.")
    return await _back(page_request, f"{pending['plan']['name']} begins with the next billing month.")


async def after_undo(page_request: PageRequest, result: dict[str, Any]) -> Response:
    if result["isDowngrade"]:
        return await _back(page_request, "The plan before begins with the next billing month.")
    return await _back(page_request, "The upgrade is undone, as if it had never been.")


async def after_withdraw(page_request: PageRequest, result: dict[str, Any]) -> Response:
    return await _back(page_request, f"{result['subscription']['plan']['name']} stays your plan.")


async def _back(page_request: PageRequest, message: str) -> Response:
    return await redirect_with(page_request.request, page_request.visitor, "/plan", message)


def price(amount: str, currency: str) -> str:
    """Return €49, €49.50 or CHF 49: without cents where there are none."""
    exact = Decimal(amount)
    shown = f"{exact:,.0f}" if exact == exact.to_integral_value() else f"{exact:,.2f}"
    return with_currency(shown, currency)


def _plans_to_show(current: dict[str, Any], offered: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the plans on offer, with the account's own in the version that it has; one not on offer comes first."""
    plans = [current if plan["id"] == current["id"] else plan for plan in offered]
    return plans if current in plans else [current, *plans]


def _preview(preview: dict[str, Any], pace: str | None) -> dict[str, Any]:
    """Return a preview with its amounts as text; `pace` in words."""
    amounts = {field: preview[field] for field in ("today", "fees", "nextFee")}
    shown = {field: found and money(found) for field, found in amounts.items()}
    given_back = preview["today"] and money(preview["today"] | {"amount": preview["today"]["amount"].removeprefix("-")})
    return preview | shown | {"given_back": given_back, "month": describe_month(preview["monthAtPace"], pace)}


def _card(plan: dict[str, Any], preview: dict[str, Any] | None, *, is_current: bool) -> dict[str, Any]:
    return {
        **plan,
        "preview": preview,
        "is_current": is_current,
        "shown_price": price(plan["price"]["amount"], plan["price"]["currency"]),
        "usage_prices": _prices_beyond_quota(plan),
        "limit_lines": [_line(limit) for limit in plan["limits"]],
    }


def _prices_beyond_quota(plan: dict[str, Any]) -> list[str]:
    """Return the prices beyond the quota, which has a line of its own."""
    lines = usage_prices(plan["tariff"])
    is_repeated = (
        bool(lines) and plan["monthlyQuota"] and lines[0].endswith(f"{number(plan['monthlyQuota'])} units included")
    )
    return lines[1:] if is_repeated else lines


def _line(limit: dict[str, Any]) -> str:
    length = duration(timedelta(milliseconds=limit["windowMs"]))
    window = {"1 s": "per second", "1 min": "per minute", "1 h": "per hour"}.get(length, f"in {length}")
    whose = "across the account" if limit["per"] == "account" else "per key"
    where = f", {limit['resource']} only" if limit["resource"] else ""
    return f"{number(limit['amount'])} {window} {whose}{where}"


PAGE = Page("/plan", "plan/page", view=view)
