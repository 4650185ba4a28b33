"""Money: a Decimal amount with its ISO 4217 currency. Minor units only at the edges, never a float."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

MINOR_DIGITS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "KWD": 3, "BHD": 3, "TND": 3, "OMR": 3, "JOD": 3}
DEFAULT_MINOR_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount; adding two currencies raises ValueError."""

    amount: Decimal
    currency: str

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(self.amount + other.amount, self.currency)

    def rounded(self) -> "Money":
        """Half-up to the currency's minor unit."""
        step = Decimal(1).scaleb(-MINOR_DIGITS.get(self.currency, DEFAULT_MINOR_DIGITS))
        return Money(self.amount.quantize(step, rounding=ROUND_HALF_UP), self.currency)

    def __str__(self) -> str:
        return f"{self.rounded().amount} {self.currency}"
