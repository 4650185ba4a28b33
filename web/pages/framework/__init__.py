"""What every page is built with: a document, a template, a form, and how figures are shown.

page          a page is a document and a template; a form is a mutation and the page that has it
form          what a form sent
run_document  run a page's document in this process, and show it to the reader
templates     Jinja, strict about what a document asked for
formatting    numbers, instants and amounts as people read them
date_ranges   ranges of whole days and hours in a time zone
chart         bars over time as geometry
"""

from web.pages.framework.chart import DAILY_NAMES, NARROW, SMALL, WIDE, Lines, Step, daily_steps, draw, spark
from web.pages.framework.date_ranges import last_days, last_hours, local_day, midnight
from web.pages.framework.form import Form, read_form
from web.pages.framework.formatting import (
    MONTHS,
    change,
    day,
    duration,
    money,
    month,
    number,
    parse_instant,
    percent,
    quantity,
    with_currency,
    zone_name,
)
from web.pages.framework.page import Action, Page, PageRequest, Problem, no_variables, render_page
from web.pages.framework.run_document import PageTooSlow
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
    "change",
    "daily_steps",
    "day",
    "draw",
    "duration",
    "last_days",
    "last_hours",
    "local_day",
    "midnight",
    "money",
    "month",
    "no_variables",
    "number",
    "parse_instant",
    "percent",
    "quantity",
    "read_form",
    "render",
    "render_page",
    "spark",
    "with_currency",
    "zone_name",
]
