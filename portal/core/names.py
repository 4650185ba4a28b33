"""What a name that people read may be."""

from portal.core.errors import Invalid

MAX_NAME = 100


def check_name(name: str, path: str = "name") -> str:
    """1 to 100 visible characters, spaces around removed. Raises Invalid."""
    text = name.strip()
    if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
        raise Invalid(f"A name has 1 to {MAX_NAME} visible characters.", path=(path,))
    return text
