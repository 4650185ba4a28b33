"""The rule for names that people give to things."""

from portal.core.errors import Invalid

MAX_NAME = 100


def check_name(name: str, path: str = "name") -> str:
    """Return a name without the spaces around it. Raises Invalid unless it has 1 to 100 visible characters."""
    text = name.strip()
    if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
        raise Invalid(f"A name has 1 to {MAX_NAME} visible characters.", path=(path,))
    return text
