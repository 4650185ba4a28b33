"""The fields of one object in a document, and where in it the object stands, so that a refusal can name the place."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from portal.billing.decimals import decimal_from
from portal.core.errors import Invalid

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """A field that is null is the same as one that is not there."""

    values: Mapping[str, Any]
    path: Path

    def at(self, name: str) -> Path:
        return (*self.path, name)

    def find(self, name: str) -> Any:
        return self.values.get(name)

    def get(self, name: str) -> Any:
        """Raises Invalid where there is none."""
        value = self.find(name)
        if value is None:
            raise Invalid(f"`{name}` is missing.", hint="Give it a value.", path=self.at(name))
        return value

    def find_decimal(self, name: str) -> Decimal | None:
        value = self.find(name)
        return None if value is None else decimal_from(value, self.at(name))

    def get_decimal(self, name: str) -> Decimal:
        return decimal_from(self.get(name), self.at(name))

    def get_list(self, name: str, most: int) -> list[tuple[Any, Path]]:
        """Each entry and where it stands. Raises Invalid where there is no list, or a longer one."""
        value = self.get(name)
        if not isinstance(value, list | tuple):
            raise Invalid(f"`{name}` is no list.", hint="Write it in brackets.", path=self.at(name))
        if len(value) > most:
            raise Invalid(f"`{name}` is too long.", hint=f"At most {most} entries.", path=self.at(name))
        return [(entry, (*self.at(name), str(position))) for position, entry in enumerate(value)]


def fields_of(value: object, path: Path, known: tuple[str, ...]) -> Fields:
    """Raises Invalid for what is no object and for a field that is not known: it may be a known one, misspelled."""
    hint = f"Its fields are {', '.join(known)}."
    if not isinstance(value, Mapping):
        raise Invalid("This is no object.", hint=hint, path=path)
    for name in value:
        if name not in known:
            raise Invalid("This field is not known.", hint=hint, path=(*path, str(name)))
    return Fields(value, path)
