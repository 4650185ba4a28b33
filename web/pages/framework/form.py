"""What a form sent: bounded, one text a field, lists split at commas and lines."""

import re
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

from web.http import read_body

MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 100
_SEPARATOR = re.compile(r"[\s,]+")


class Form(dict[str, str]):
    """Field name → text. A field that was not sent is empty, as an unticked box is."""

    def text(self, name: str) -> str:
        return self.get(name, "").strip()

    def parts(self, name: str) -> list[str]:
        return [part for part in _SEPARATOR.split(self.get(name, "")) if part]


async def read_form(request: Request) -> Form:
    """Return what the form sent. Raises HTTPException 400, 413 and 415 for what is no form, or too large a one."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415, "Send forms as application/x-www-form-urlencoded.")
    body = await read_body(request, MAX_BODY_BYTES)
    if body is None:
        raise HTTPException(413, "This form is too large.")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise HTTPException(400, "This form cannot be read.") from None
    return Form({name: values[-1] for name, values in fields.items()})
