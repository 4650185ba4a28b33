"""What a form sent: bounded, one text a field, lists split at commas and lines."""

import re
from collections.abc import Container
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request

from portal.core.errors import Invalid
from web.http import read_body

MAX_BODY_BYTES = 64 * 1024
MAX_FIELDS = 100
FORM_NUMBER = "formNumber"
"""The field of a form that makes a secret: drawn anew whenever the form is shown, so that it acts once."""
_SEPARATOR = re.compile(r"[\s,]+")


class Form(dict[str, str]):
    """Field name → text. A field that was not sent is empty, as an unticked box is."""

    def text(self, name: str) -> str:
        return self.get(name, "").strip()

    def choice(self, name: str, choices: Container[str], message: str, field: str = "") -> str:
        """Return what was chosen. Raises Invalid at `field` for anything else: an unknown choice never means a default.

        `field` is the name of the input beside which the message stands, where that is not `name`.
        """
        chosen = self.text(name)
        if chosen not in choices:
            raise Invalid(message, path=(field or name,))
        return chosen

    def parts(self, name: str) -> list[str]:
        return [part for part in _SEPARATOR.split(self.get(name, "")) if part]


async def read_form(request: Request) -> Form:
    """Return what the form sent. Raises HTTPException 400, 413 and 415 for what is no form, or too large a one.

    A field that was sent twice is refused: no form of ours has two of a name, and nothing says which one was meant.
    """
    if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415, "Send forms as application/x-www-form-urlencoded.")
    body = await read_body(request, MAX_BODY_BYTES)
    if body is None:
        raise HTTPException(413, "This form is too large.")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise HTTPException(400, "This form cannot be read.") from None
    doubled = next((name for name, values in fields.items() if len(values) > 1), None)
    if doubled is not None:
        raise HTTPException(400, f"This form has the field {doubled[:50]!a} twice.")
    return Form({name: values[-1] for name, values in fields.items()})
