"""What a name that people read may be."""

from portal.core.errors import Invalid

NAME_MOST = 100


def check_name(name: str, path: str = "name") -> str:
    """1 to 100 visible characters, spaces around removed. Raises Invalid."""
    text = name.strip()
    if not 1 <= len(text) <= NAME_MOST or not text.isprintable():
        raise Invalid(f"A name has 1 to {NAME_MOST} visible characters.", path=(path,))
    return text
