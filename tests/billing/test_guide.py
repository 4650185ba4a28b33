"""The guide to pricing: its tariff is one, its figures are right, and it names every model and field."""

import json
import re
from pathlib import Path

from portal.billing import ChargeModel, parse_tariff, rate_usage
from portal.billing.parse_tariff import CHARGE_FIELDS, TARIFF_FIELDS, TIER_FIELDS
from tests.billing.sample import GRADUATED, D, amounts_of, tariff_of

GUIDE = (Path(__file__).parents[2] / "docs/guides/pricing.md").read_text()


def test_its_tariff_is_read_and_gives_free_units_first() -> None:
    example = re.search(r"```json\n(.+?)```", GUIDE, re.DOTALL)
    assert example
    tariff = parse_tariff(json.loads(example[1]))
    assert [line.amount for line in rate_usage(tariff, {"calls": D(1000)})] == [0, 49, 1]
    assert [line.amount for line in rate_usage(tariff, {"calls": D(12_000)})] == [26, 49]


def test_its_figures_are_right() -> None:
    assert "= 110\ngraduated, and 11 × 5 + 3 = 58 by volume" in GUIDE
    assert amounts_of(tariff_of(GRADUATED), 11) == [110]
    assert amounts_of(tariff_of(GRADUATED | {"model": "volume"}), 11) == [58]


def test_it_names_every_model_and_field() -> None:
    for name in (*ChargeModel, *TARIFF_FIELDS, *CHARGE_FIELDS, *TIER_FIELDS):
        assert f"`{name}`" in GUIDE or f'"{name}"' in GUIDE, name
