"""Every table of the product, imported for their side effect on SQLModel's metadata."""

import re
from typing import Any

from sqlmodel import SQLModel

from portal.accounts import models as accounts
from portal.audit import models as audit
from portal.billing import models as billing
from portal.core.messaging import outbox
from portal.graphql.engine import models as graphql
from portal.keys import models as keys
from portal.plans import models as plans
from portal.usage import models as usage

DOMAINS = (accounts, audit, billing, outbox, graphql, keys, plans, usage)
metadata = SQLModel.metadata
PARTITION = re.compile(r"_\d{4}_\d{2}$")


def is_compared(_object: Any, name: str | None, kind: str, *_: Any) -> bool:
    """Monthly partitions come and go at run time and are no part of the models."""
    return not (kind == "table" and PARTITION.search(name or ""))
