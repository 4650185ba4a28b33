""" "Show the query": what feeds a page, as a document and as a command that does the same."""

import json
import shlex
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from web.pages.framework.run_document import compact_document, document
from web.services import services_of


@dataclass(frozen=True, slots=True)
class ShownQuery:
    document: str
    variables: str
    curl: str


def shown_query(request: Request, name: str, variables: dict[str, Any]) -> ShownQuery:
    body = {"query": compact_document(name)} | ({"variables": variables} if variables else {})
    curl = (
        f"curl {shlex.quote(services_of(request).settings.base_url + '/graphql')} \\\n"
        '  -H "Authorization: Bearer $PORTAL_TOKEN" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  --data {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )
    return ShownQuery(document(name).strip(), json.dumps(variables, ensure_ascii=False, indent=2), curl)
