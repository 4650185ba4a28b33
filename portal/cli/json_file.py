"""Read a JSON object from a file that somebody named."""

from pathlib import Path
from typing import Any

from portal.core.errors import Invalid, MalformedBody
from portal.core.json import decode_json


def read_json_object(path: Path, kind: str) -> dict[str, Any]:
    """Return the object in a file; `kind` says what it should describe. Raises Invalid."""
    hint = f"Name a file with a {kind} in it."
    try:
        document = decode_json(path.read_bytes())
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.", hint=hint) from None
    except MalformedBody as error:
        raise Invalid(f"{path} is not JSON: {error}.", hint=hint) from None
    if not isinstance(document, dict):
        raise Invalid(f"{path} holds no object.", hint=hint)
    return document
