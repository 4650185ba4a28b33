"""The catalogue: plans, their versions, and who may choose them.

A plan has a rank and a visibility, and versions of what it is sold as. A new version is for who chooses the plan from
then on; accounts that are on another one keep it until they change. A plan is never deleted: a retired one takes no new
accounts.

    create_plan.py  add_plan_version.py  set_tariff.py  retire_plan.py    staff's verbs
    store_changes.py      what makes a version, and what applies at once
    plan_document.py      a plan as a document: what the verbs take, `portal plan show` prints
    offered_plans.py      which plans an account may choose
    starter_catalogue.py  the plans that a new installation starts with
"""

from portal.plans.catalogue.add_plan_version import add_plan_version
from portal.plans.catalogue.create_plan import create_plan
from portal.plans.catalogue.offered_plans import check_may_choose, get_visible_plan, list_offered_plans
from portal.plans.catalogue.plan_document import plan_document
from portal.plans.catalogue.retire_plan import retire_plan
from portal.plans.catalogue.set_tariff import set_tariff
from portal.plans.catalogue.starter_catalogue import ensure_catalogue

__all__ = [
    "add_plan_version",
    "check_may_choose",
    "create_plan",
    "ensure_catalogue",
    "get_visible_plan",
    "list_offered_plans",
    "plan_document",
    "retire_plan",
    "set_tariff",
]
