"""Money: a Decimal amount with its ISO 4217 currency. Minor units only at the edges, never a float."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext

DEFAULT_MINOR_DIGITS = 2
MINOR_DIGITS = {
    currency: digits
    for digits, currencies in {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }.items()
    for currency in currencies.split()
}
"""ISO 4217; every other currency has two."""
_TWO_DIGITS = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF
CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD
HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT
MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR
SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU
UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset([*MINOR_DIGITS, *_TWO_DIGITS.split()])
"""ISO 4217, the codes of money in use and ANG, which ended in 2025: no metals, units of account, tests."""

EXACT = Context(prec=100, rounding=ROUND_HALF_UP, traps=[DivisionByZero, InvalidOperation, Overflow])


def exactly() -> AbstractContextManager[Context]:
    """Compute exactly inside, whatever the caller's decimal context is.

    Its usual 28 digits are fewer than a large quantity times a unit price of 12 decimals needs.
    """
    return localcontext(EXACT)


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount; adding two currencies raises ValueError."""

    amount: Decimal
    currency: str

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        with exactly():
            return Money(self.amount + other.amount, self.currency)

    def rounded(self) -> "Money":
        """Return the amount rounded half-up to the currency's minor unit."""
        step = Decimal(1).scaleb(-MINOR_DIGITS.get(self.currency, DEFAULT_MINOR_DIGITS))
        return Money(self.amount.quantize(step, rounding=ROUND_HALF_UP, context=EXACT), self.currency)

    def __str__(self) -> str:
        return f"{self.rounded().amount} {self.currency}"
