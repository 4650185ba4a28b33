"""What every page is built with: a document, a template, a form, and how figures are shown.

page          a page is a document, run in this process, and a template
action        a form is a mutation and the page that has it; one that makes a secret acts once
form          what a form sent
notes         what a request leaves for the next page: a message, a form that was typed
templates     Jinja, strict about what a document asked for
formatting    numbers, instants and amounts as people read them
date_ranges   ranges of whole days and hours in a time zone
chart         bars over time as geometry
"""

from web.pages.framework.action import Action, Problem
from web.pages.framework.chart import DAILY_NAMES, NARROW, SMALL, WIDE, Lines, Step, daily_steps, draw, spark
from web.pages.framework.date_ranges import last_days, last_hours, local_day, midnight
from web.pages.framework.form import Form, read_form
from web.pages.framework.formatting import (
    MONTHS,
    change,
    clock,
    day,
    duration,
    moment,
    money,
    month,
    number,
    parse_instant,
    percent,
    quantity,
    with_currency,
    zone_name,
)
from web.pages.framework.notes import leave_note, redirect_with, typed_fields
from web.pages.framework.page import (
    Page,
    PageRequest,
    PageTooSlow,
    back_address,
    lead_from_secret,
    no_variables,
    render_page,
    run_document,
    without_secrets,
)
from web.pages.framework.templates import render

__all__ = [
    "DAILY_NAMES",
    "MONTHS",
    "NARROW",
    "SMALL",
    "WIDE",
    "Action",
    "Form",
    "Lines",
    "Page",
    "PageRequest",
    "PageTooSlow",
    "Problem",
    "Step",
    "back_address",
    "change",
    "clock",
    "daily_steps",
    "day",
    "draw",
    "duration",
    "last_days",
    "last_hours",
    "lead_from_secret",
    "leave_note",
    "local_day",
    "midnight",
    "moment",
    "money",
    "month",
    "no_variables",
    "number",
    "parse_instant",
    "percent",
    "quantity",
    "read_form",
    "redirect_with",
    "render",
    "render_page",
    "run_document",
    "spark",
    "typed_fields",
    "with_currency",
    "without_secrets",
    "zone_name",
]
