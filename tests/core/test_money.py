"""Money: minor digits of ISO 4217, half-up, exact in whatever context the caller has."""

from decimal import ROUND_DOWN, Context, Decimal, localcontext

import pytest

from portal.core.money import Money, exactly


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1.005", "EUR", "1.01 EUR"),
        ("-1.005", "EUR", "-1.01 EUR"),
        ("1.5", "JPY", "2 JPY"),
        ("1.5", "UGX", "2 UGX"),
        ("1.0005", "KWD", "1.001 KWD"),
        ("1.0005", "LYD", "1.001 LYD"),
        ("1.00005", "CLF", "1.0001 CLF"),
    ],
)
def test_an_amount_is_rounded_half_up_to_the_currencys_digits(amount: str, currency: str, text: str) -> None:
    assert str(Money(Decimal(amount), currency)) == text


def test_the_callers_context_changes_nothing() -> None:
    large = Decimal("123456789012345678901234567890.125")
    with localcontext(Context(prec=3, rounding=ROUND_DOWN)):
        rounded = Money(large, "EUR").rounded()
        twice = rounded + rounded
        with exactly():
            assert rounded.amount == large + Decimal("0.005")
            assert twice.amount == 2 * rounded.amount


def test_two_currencies_are_never_added() -> None:
    with pytest.raises(ValueError, match="cannot add USD to EUR"):
        Money(Decimal(1), "EUR") + Money(Decimal(1), "USD")
