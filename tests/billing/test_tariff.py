"""A tariff's document: read strictly, written in one form, and each mistake named with its place."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from portal.billing import Charge, ChargeModel, Tariff, Tier, parse_tariff, tariff_document
from portal.core.errors import Invalid
from tests.billing.sample import GRADUATED, PER_UNIT, D, document_of, sloppy_documents, tariff_of, tariffs

EXAMPLE = """{"currency": "EUR", "charges": [
  {"code": "calls", "model": "graduated", "free_units": 5,
   "tiers": [{"up_to": 10, "unit": "10.50", "flat": "2"}, {"up_to": null, "unit": "5"}]},
  {"code": "calls", "model": "package", "size": 100, "price": "10", "free_units": 10, "minimum": "1", "tiers": null},
  {"code": "base", "model": "flat", "price": "49.00", "free_units": 0},
  {"code": "bytes", "model": "per_unit", "unit": "0.000000000001", "maximum": 1000}],
 "minimum": null, "maximum": "5000", "tax_percent": "20"}"""
UNIT = {"model": "per_unit"}
PACKAGE = {"model": "package", "size": 10, "price": 1}
TIERS = ("charges", "0", "tiers")
RECORDED = json.loads((Path(__file__).parent / "tariff_documents.json").read_text())
"""Documents with what the first parser made of them: the canonical form and its hash, or the refusal word for word."""


def of_tiers(*ends: Any) -> dict[str, Any]:
    return {"model": "volume", "tiers": [{"up_to": end, "unit": 1} for end in ends]}


def test_an_example_is_read() -> None:
    assert parse_tariff(json.loads(EXAMPLE)) == Tariff(
        "EUR",
        (
            Charge(
                "calls",
                ChargeModel.GRADUATED,
                free_units=D(5),
                tiers=(Tier(D(10), D("10.5"), D(2)), Tier(None, D(5))),
            ),
            Charge("calls", ChargeModel.PACKAGE, free_units=D(10), size=D(100), price=D(10), minimum=D(1)),
            Charge("base", ChargeModel.FLAT, price=D(49)),
            Charge("bytes", ChargeModel.PER_UNIT, unit=D("0.000000000001"), maximum=D(1000)),
        ),
        maximum=D(5000),
        tax_percent=D(20),
    )


def test_the_canonical_form_has_the_models_fields_and_writes_numbers_in_one_way() -> None:
    document = tariff_document(parse_tariff(json.loads(EXAMPLE)))
    assert document["charges"][0] == {
        "code": "calls",
        "model": "graduated",
        "free_units": "5",
        "tiers": [{"up_to": "10", "unit": "10.5", "flat": "2"}, {"up_to": None, "unit": "5", "flat": "0"}],
        "minimum": None,
        "maximum": None,
    }
    assert document["charges"][1]["size"] == "100"
    assert document["charges"][2]["price"] == "49"
    assert document["charges"][3]["unit"] == "0.000000000001"
    assert (document["minimum"], document["maximum"], document["tax_percent"]) == (None, "5000", "20")


def test_equal_tariffs_have_one_document() -> None:
    one, other = tariff_of(PER_UNIT, minimum="100"), tariff_of(PER_UNIT | {"unit": "0.0500"}, minimum=100)
    assert one == other
    assert json.dumps(tariff_document(one)) == json.dumps(tariff_document(other))
    assert json.dumps(tariff_document(tariff_of(minimum="-0"))) == json.dumps(tariff_document(tariff_of(minimum=0)))


@given(tariffs())
def test_the_document_is_read_back(tariff: Tariff) -> None:
    document = json.loads(json.dumps(tariff_document(tariff)))
    assert parse_tariff(document) == tariff
    assert tariff_document(parse_tariff(document)) == document


@pytest.mark.parametrize(
    ("charge", "path", "told"),
    [
        (UNIT, "unit", "`unit` is missing"),
        (UNIT | {"unit": None}, "unit", "`unit` is missing"),
        (UNIT | {"unit": 0.5}, "unit", "float"),
        (UNIT | {"unit": float("nan")}, "unit", "float"),
        (UNIT | {"unit": True}, "unit", "no number"),
        (UNIT | {"unit": []}, "unit", "no number"),
        (UNIT | {"unit": ""}, "unit", "no number"),
        (UNIT | {"unit": "1e3"}, "unit", "no number"),
        (UNIT | {"unit": "1."}, "unit", "no number"),
        (UNIT | {"unit": "1,5"}, "unit", "no number"),
        (UNIT | {"unit": " 1"}, "unit", "no number"),
        (UNIT | {"unit": "1\n"}, "unit", "no number"),
        (UNIT | {"unit": "٣"}, "unit", "no number"),
        (UNIT | {"unit": "NaN"}, "unit", "no number"),
        (UNIT | {"unit": "0.0000000000001"}, "unit", "too many decimals"),
        (UNIT | {"unit": "1" + "0" * 15}, "unit", "too large"),
        (UNIT | {"unit": 10**5000}, "unit", "too large"),
        (UNIT | {"unit": "-0.01"}, "unit", "below 0"),
        (UNIT | {"unit": -1}, "unit", "below 0"),
        (UNIT | {"unit": 1, "unitt": 1}, "unitt", "not known"),
        (UNIT | {"unit": 1, "tiers": []}, "tiers", "per_unit has no `tiers`"),
        (GRADUATED | {"unit": 1}, "unit", "graduated has no `unit`"),
        (UNIT | {"unit": 1, "code": None}, "code", "`code` is missing"),
        (UNIT | {"unit": 1, "code": 7}, "code", "no code"),
        (UNIT | {"unit": 1, "code": "my calls"}, "code", "no code"),
        (UNIT | {"unit": 1, "code": "c" * 65}, "code", "no code"),
        ({"unit": 1}, "model", "`model` is missing"),
        ({"model": "linear"}, "model", "not known"),
        ({"model": ["per_unit"]}, "model", "not known"),
        (UNIT | {"unit": 1, "free_units": -1}, "free_units", "below 0"),
        (UNIT | {"unit": 1, "minimum": 2, "maximum": 1}, "maximum", "below the minimum"),
        ({"model": "package", "price": 1}, "size", "`size` is missing"),
        ({"model": "package", "size": 10}, "price", "`price` is missing"),
        (PACKAGE | {"size": 0}, "size", "no units"),
        (PACKAGE | {"size": "-1"}, "size", "below 0"),
        ({"model": "flat"}, "price", "`price` is missing"),
        ({"model": "flat", "price": 1, "free_units": 1}, "free_units", "counts no units"),
        ({"model": "volume"}, "tiers", "`tiers` is missing"),
        ({"model": "volume", "tiers": {}}, "tiers", "no list"),
        ({"model": "volume", "tiers": []}, "tiers", "last tier is not open"),
        (of_tiers(*range(1, 101), None), "tiers", "too long"),
    ],
)
def test_a_mistake_in_a_charge_is_named(charge: dict[str, Any], path: str, told: str) -> None:
    assert refusal(document_of(charge), told) == ("charges", "0", path)


@pytest.mark.parametrize(
    ("charge", "path", "told"),
    [
        (of_tiers(10), ("0", "up_to"), "last tier is not open"),
        (of_tiers(10, 20), ("1", "up_to"), "last tier is not open"),
        (of_tiers(None, None), ("0", "up_to"), "Only the last tier is open"),
        (of_tiers(10, 10, None), ("1", "up_to"), "do not ascend"),
        (of_tiers(10, "9.9", None), ("1", "up_to"), "do not ascend"),
        (of_tiers(0, None), ("0", "up_to"), "do not ascend"),
        (of_tiers(-1, None), ("0", "up_to"), "below 0"),
        ({"model": "volume", "tiers": [7]}, ("0",), "no object"),
        ({"model": "volume", "tiers": [{"up_to": None}]}, ("0", "unit"), "`unit` is missing"),
        ({"model": "volume", "tiers": [{"unit": 1, "flat": -1}]}, ("0", "flat"), "below 0"),
        ({"model": "volume", "tiers": [{"unit": 1, "price": 1}]}, ("0", "price"), "not known"),
    ],
)
def test_a_mistake_in_a_tier_is_named(charge: dict[str, Any], path: tuple[str, ...], told: str) -> None:
    assert refusal(document_of(charge), told) == (*TIERS, *path)


@pytest.mark.parametrize(
    ("fields", "path", "told"),
    [
        ({"currency": None}, ("currency",), "`currency` is missing"),
        ({"currency": "eur"}, ("currency",), "no currency"),
        ({"currency": "EURO"}, ("currency",), "no currency"),
        ({"currency": 978}, ("currency",), "no currency"),
        ({"charges": None}, ("charges",), "`charges` is missing"),
        ({"charges": "calls"}, ("charges",), "no list"),
        ({"charges": [None]}, ("charges", "0"), "no object"),
        ({"charges": [{}] * 101}, ("charges",), "too long"),
        ({"discount": 1}, ("discount",), "not known"),
        ({7: 1}, ("7",), "not known"),
        ({"minimum": 0.5}, ("minimum",), "float"),
        ({"minimum": 10, "maximum": "9.99"}, ("maximum",), "below the minimum"),
        ({"tax_percent": "100.01"}, ("tax_percent",), "More than 100"),
        ({"tax_percent": -1}, ("tax_percent",), "below 0"),
    ],
)
def test_a_mistake_in_the_tariff_is_named(fields: dict[Any, Any], path: tuple[str, ...], told: str) -> None:
    assert refusal(document_of() | fields, told) == path


@pytest.mark.parametrize("document", [None, [], "EUR", 7])
def test_what_is_no_object_is_refused(document: Any) -> None:
    assert refusal(document, "no object") == ()


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: json.dumps(recorded["document"])[:90])
def test_a_document_is_read_or_refused_as_ever(recorded: dict[str, Any]) -> None:
    read = outcome(recorded["document"])
    if isinstance(read, Invalid):
        assert (read.message, read.hint, [*read.path]) == (recorded["message"], recorded["hint"], recorded["path"])
    else:
        canonical = json.dumps(tariff_document(read))
        assert canonical == json.dumps(recorded["tariff"])
        assert hashlib.sha256(canonical.encode()).hexdigest() == recorded["sha256"]


@given(sloppy_documents())
def test_any_document_is_read_or_refused_with_a_place_in_it(document: dict[str, Any]) -> None:
    read = outcome(document)
    if isinstance(read, Tariff):
        assert outcome(tariff_document(read)) == read
    else:
        place: Any = document
        for step in read.path[:-1]:
            place = place[int(step) if isinstance(place, list) else step]
        assert isinstance(place, dict | list)
        assert read.hint


def test_bounds_may_be_equal_and_the_tax_all_of_it() -> None:
    tariff = tariff_of(minimum="5", maximum=5, tax_percent=100)
    assert (tariff.minimum, tariff.maximum, tariff.tax_percent) == (D(5), D(5), D(100))


def refusal(document: Any, told: str) -> tuple[str, ...]:
    """The path of it; each has a hint."""
    with pytest.raises(Invalid, match=told) as refused:
        parse_tariff(document)
    assert refused.value.hint
    return refused.value.path


def outcome(document: Any) -> Tariff | Invalid:
    try:
        return parse_tariff(document)
    except Invalid as refused:
        return refused


@pytest.mark.parametrize("code", ["ZZZ", "XXX", "XAU", "XTS", "BTC", "AAA", "DEM", "Eur", "EU", ""])
def test_only_money_of_iso_4217_is_a_currency(code: str) -> None:
    with pytest.raises(Invalid, match="no currency"):
        parse_tariff(document_of(UNIT | {"unit": 1}) | {"currency": code})


@pytest.mark.parametrize("code", ["EUR", "USD", "JPY", "KWD", "CLF", "ZAR", "XOF", "SLE", "VED"])
def test_money_in_use_is_a_currency(code: str) -> None:
    assert parse_tariff(document_of(UNIT | {"unit": 1}) | {"currency": code}).currency == code
