"""Parse a tariff's document. Strictly, since a misspelled price is money: what is not understood is refused.

The models below say what a document may look like; a field that is null is the same as one that is not there. pydantic
finds every mistake, and the first one is reported, with its place and what to do.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    PlainValidator,
    Tag,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from portal.billing.decimals import ZERO, decimal_from, format_decimal
from portal.billing.tariff import PRICED_BY, Charge, ChargeModel, Tariff, Tier
from portal.core.errors import Invalid
from portal.core.money import CURRENCIES

MAX_ENTRIES = 100
"""Of charges, and of a charge's tiers."""
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def parse_tariff(document: Mapping[str, Any]) -> Tariff:
    """Return the tariff that a document describes; its numbers are strings or integers.

    Raises Invalid, with the path of the first mistake.
    """
    try:
        found = TariffDocument.model_validate(document)
    except ValidationError as error:
        mistakes = [_Mistake(details) for details in error.errors(include_url=False, include_input=False)]
        raise min(mistakes, key=_Mistake.rank).refusal() from None
    charges = tuple(_charge(charge) for charge in found.charges)
    return Tariff(found.currency, charges, found.minimum, found.maximum, found.tax_percent)


def parse_tariff_or_none(document: Mapping[str, Any]) -> Tariff | None:
    """Return a plan's tariff, or None for an empty document: its usage costs nothing. Raises Invalid."""
    return parse_tariff(document) if document else None


def currency_from(value: object, path: tuple[str, ...] = ()) -> str:
    """Return a currency. Raises Invalid for what is no code of ISO 4217."""
    if not isinstance(value, str) or value not in CURRENCIES:
        raise Invalid("This is no currency.", hint="Write its ISO 4217 code, like EUR.", path=path)
    return value


def _refused(message: str, hint: str | None, path: tuple[str, ...] = ()) -> PydanticCustomError:
    return PydanticCustomError("refused", "{message}", {"message": message, "hint": hint, "path": path})


def _read_by(read: Callable[[object], object]) -> PlainValidator:
    """Accept what `read` makes of a value, and refuse it with the words of the Invalid that it raises."""

    def validate(value: object) -> object:
        try:
            return read(value)
        except Invalid as error:
            raise _refused(error.message, error.hint) from None

    return PlainValidator(validate)


def _code_from(value: object) -> str:
    if not isinstance(value, str) or not CODE.fullmatch(value):
        raise Invalid("This is no code of a charge.", hint="Up to 64 letters, digits, _, . and -, like calls.")
    return value


def _size_from(value: object) -> Decimal:
    size = decimal_from(value)
    if not size:
        raise Invalid("A package of no units.", hint="Write more than 0.")
    return size


def _no_units_from(value: object) -> Decimal:
    if decimal_from(value):
        raise Invalid("A flat charge counts no units.", hint="Leave them out, or choose per_unit.")
    return ZERO


def _percent_from(value: object) -> Decimal:
    percent = decimal_from(value)
    if percent > 100:
        raise Invalid("More than 100 percent.", hint="Write 20 for 20 %.")
    return percent


def _unknown_model(value: object) -> str:
    raise Invalid("This model is not known.", hint=f"It is one of {', '.join(ChargeModel)}.")


def _not_below_minimum(maximum: Decimal, info: ValidationInfo) -> Decimal:
    minimum = info.data.get("minimum")
    if minimum is not None and minimum > maximum:
        raise _refused("The maximum is below the minimum.", f"Write {format_decimal(minimum)} or more.")
    return maximum


def _entries(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, list | tuple):
        raise _refused(f"`{info.field_name}` is no list.", "Write it in brackets.")
    if len(value) > MAX_ENTRIES:
        raise _refused(f"`{info.field_name}` is too long.", f"At most {MAX_ENTRIES} entries.")
    return value


def _ascending(tiers: tuple["TierDocument", ...]) -> tuple["TierDocument", ...]:
    before = ZERO
    for position, tier in enumerate(tiers[:-1]):
        path = (str(position), "up_to")
        if tier.up_to is None:
            raise _refused("Only the last tier is open.", "Give it an end.", path)
        if tier.up_to <= before:
            raise _refused("The tiers do not ascend.", f"Let it end above {format_decimal(before)}.", path)
        before = tier.up_to
    if not tiers or tiers[-1].up_to is not None:
        last = (str(len(tiers) - 1), "up_to") if tiers else ()
        raise _refused("The last tier is not open.", "End with one whose up_to is null.", last)
    return tiers


Number = Annotated[Decimal, _read_by(decimal_from)]
Bound = Annotated[Decimal | None, _read_by(decimal_from)]
Maximum = Annotated[Bound, AfterValidator(_not_below_minimum)]
Code = Annotated[str, _read_by(_code_from)]

TARIFF_FIELDS = ("currency", "charges", "minimum", "maximum", "tax_percent")
CHARGE_FIELDS = ("code", "model", "free_units", "unit", "tiers", "size", "price", "minimum", "maximum")
TIER_FIELDS = ("up_to", "unit", "flat")


class Document(BaseModel, extra="forbid"):
    """An object in a tariff; other fields than the `known` ones are refused."""

    known: ClassVar[tuple[str, ...]]

    @model_validator(mode="before")
    @classmethod
    def drop_nulls(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {name: inner for name, inner in value.items() if inner is not None or name not in cls.known}


class TierDocument(Document):
    """One step of a graduated or volume charge."""

    known = TIER_FIELDS

    up_to: Bound = None
    unit: Number
    flat: Number = ZERO


class ChargeDocument(Document):
    """What charges of every model have."""

    known = CHARGE_FIELDS

    code: Code
    minimum: Bound = None
    maximum: Maximum = None
    free_units: Number = ZERO


class PerUnitDocument(ChargeDocument):
    model: Literal[ChargeModel.PER_UNIT]
    unit: Number


class TieredDocument(ChargeDocument):
    model: Literal[ChargeModel.GRADUATED, ChargeModel.VOLUME]
    tiers: Annotated[tuple[TierDocument, ...], BeforeValidator(_entries), AfterValidator(_ascending)]


class PackageDocument(ChargeDocument):
    model: Literal[ChargeModel.PACKAGE]
    size: Annotated[Decimal, _read_by(_size_from)]
    price: Number


class FlatDocument(ChargeDocument):
    model: Literal[ChargeModel.FLAT]
    free_units: Annotated[Decimal, _read_by(_no_units_from)] = ZERO
    price: Number


class UnknownDocument(Document):
    """A charge whose model is missing or not known, so that it cannot be told what else it must have."""

    known = CHARGE_FIELDS

    code: Code
    model: Annotated[str, _read_by(_unknown_model)]
    free_units: Any = None
    unit: Any = None
    tiers: Any = None
    size: Any = None
    price: Any = None
    minimum: Any = None
    maximum: Any = None


def _model_of(value: object) -> str:
    model = value.get("model") if isinstance(value, Mapping) else None
    return str(model) if model in [*ChargeModel] else "unknown"


AnyChargeDocument = Annotated[
    Annotated[PerUnitDocument, Tag("per_unit")]
    | Annotated[TieredDocument, Tag("graduated")]
    | Annotated[TieredDocument, Tag("volume")]
    | Annotated[PackageDocument, Tag("package")]
    | Annotated[FlatDocument, Tag("flat")]
    | Annotated[UnknownDocument, Tag("unknown")],
    Discriminator(_model_of),
]


class TariffDocument(Document):
    """The whole tariff."""

    known = TARIFF_FIELDS

    currency: Annotated[str, _read_by(currency_from)]
    charges: Annotated[tuple[AnyChargeDocument, ...], BeforeValidator(_entries)]
    minimum: Bound = None
    maximum: Maximum = None
    tax_percent: Annotated[Decimal | None, _read_by(_percent_from)] = None


def _charge(document: Document) -> Charge:
    fields = dict(document)
    if isinstance(document, TieredDocument):
        fields["tiers"] = tuple(Tier(tier.up_to, tier.unit, tier.flat) for tier in document.tiers)
    return Charge(**fields)


ORDER = (
    *("currency", "charges", "code", "model", "minimum", "maximum", "free_units", "tiers"),
    *("up_to", "unit", "flat", "size", "price", "tax_percent"),
)
"""Of several mistakes in one object the one in the first of these fields is reported."""
MODEL_FIELDS = ("unit", "tiers", "size", "price")


class _Mistake:
    """A mistake that pydantic found. `steps` lead to it through the document, by fields and positions."""

    def __init__(self, details: ErrorDetails) -> None:
        place = details["loc"]
        self.kind = details["type"]
        self.context = details.get("ctx", {})
        self.steps = (*place[:2], *place[3:])  # after the position of a charge pydantic puts its model
        self.model = place[2] if len(place) > 2 else None
        is_in_charge = len(self.steps) == 3 and self.kind == "extra_forbidden"
        self.is_of_another_model = is_in_charge and self.steps[2] in MODEL_FIELDS

    def rank(self) -> list[tuple[int, int]]:
        """In one object, fields that are not known come first, and those of another model after the model."""
        ranks = [(step if isinstance(step, int) else ORDER.index(step), 0) for step in self.steps[:-1]]
        for step in self.steps[-1:]:
            if self.is_of_another_model:
                ranks.append((ORDER.index("model"), 1 + MODEL_FIELDS.index(str(step))))
            elif self.kind in {"extra_forbidden", "invalid_key"}:
                ranks.append((-1, 0))
            else:
                ranks.append((step if isinstance(step, int) else ORDER.index(step), 0))
        return ranks

    def refusal(self) -> Invalid:
        path = tuple(str(step) for step in self.steps)
        if self.kind == "refused":
            return Invalid(self.context["message"], hint=self.context["hint"], path=(*path, *self.context["path"]))
        if self.kind == "missing":
            return Invalid(f"`{path[-1]}` is missing.", hint="Give it a value.", path=path)
        if self.is_of_another_model:
            hint = f"A charge of this model is priced by {' and '.join(PRICED_BY[ChargeModel(str(self.model))])}."
            return Invalid(f"The model {self.model} has no `{path[-1]}`.", hint=hint, path=path)
        is_field = self.kind != "model_type"
        fields = {0: TARIFF_FIELDS, 2: CHARGE_FIELDS, 4: TIER_FIELDS}[len(path) - is_field]
        message = "This field is not known." if is_field else "This is no object."
        return Invalid(message, hint=f"Its fields are {', '.join(fields)}.", path=path)
