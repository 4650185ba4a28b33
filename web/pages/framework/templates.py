"""Jinja: a template that shows what its page did not ask for is an error, not an empty space."""

from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import HTMLResponse

from portal.core.clock import utc_now
from web.http.assets import asset
from web.pages.framework import formatting as formats
from web.pages.framework.time_zones import time_zone_groups
from web.services import services_of

FOLDER = Path(__file__).parents[1]


def render(request: Request, name: str, context: dict[str, Any], status: int = 200) -> HTMLResponse:
    """Render a whole page, or only its main part for htmx. Never stored: every page belongs to one person."""
    is_fragment = request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers
    settings = services_of(request).settings
    text = ENVIRONMENT.get_template(f"{name}.html").render(
        {
            "layout": "fragment.html" if is_fragment else "layout.html",
            "path": request.url.path,
            "product": settings.product_name,
            "base_url": settings.base_url,
            "now": utc_now(),
            "zone": "UTC",
            "form": None,
            "problem": None,
            "done": None,
            "is_restored": False,
            **context,
        }
    )
    return HTMLResponse(text, status, {"Cache-Control": "no-store", "Vary": "HX-Request"})


@pass_context
def _relative(context: Context, value: str | datetime) -> str:
    return formats.relative(value, context["now"])


@pass_context
def _date(context: Context, value: str | datetime) -> str:
    return formats.date(value, context["zone"])


@pass_context
def _day(context: Context, value: str | datetime) -> str:
    return formats.day(value, context["zone"])


@pass_context
def _clock(context: Context, value: str | datetime) -> str:
    return formats.clock(value, context["zone"])


@pass_context
def _moment(context: Context, value: str | datetime) -> str:
    return formats.moment(value, context["zone"])


@pass_context
def _second(context: Context, value: str | datetime) -> str:
    return formats.second(value, context["zone"])


@pass_context
def _log_time(context: Context, value: str | datetime) -> str:
    return formats.log_time(value, context["now"], context["zone"])


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"asset": asset, "time_zone_groups": time_zone_groups}
    environment.filters |= {
        "number": formats.number,
        "span": formats.span,
        "relative": _relative,
        "date": _date,
        "day": _day,
        "clock": _clock,
        "moment": _moment,
        "window": formats.window,
        "second": _second,
        "log_time": _log_time,
        "money": formats.money,
        "bill_part": formats.bill_part,
    }
    return environment


ENVIRONMENT = _environment()
