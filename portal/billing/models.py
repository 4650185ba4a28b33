"""Tables of invoices. An invoice and its lines are written once and never change.

No role of ours may update them, but for the number of an invoice that has none yet.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Numeric, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from portal.core.columns import json_column, time_column


def _amount_column(*, is_nullable: bool = False) -> Column[Any]:
    return Column(Numeric(38, 6), nullable=is_nullable)


class Invoice(SQLModel, table=True):
    """What an account owes for a billing period. One an account and period; `number` has no gaps within its year.

    Without a number it is not issued: nobody sees it, and `finalized_at` is when it was computed; with the number, it
    is when that was given.
    `inputs` is all that it was computed from (`portal.billing.inputs.InvoiceInputs`), `digest` their SHA-256.
    """

    __tablename__ = "invoices"
    __table_args__: ClassVar = (
        UniqueConstraint("account_id", "period"),
        Index("ix_invoices_account_finalized", "account_id", "finalized_at", "id"),
        Index("ix_invoices_unnumbered", "finalized_at", "id", postgresql_where=text("number IS NULL")),
    )

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="accounts.id")
    number: str | None = Field(default=None, unique=True)
    period: str
    period_start: datetime = Field(sa_column=time_column())
    period_end: datetime = Field(sa_column=time_column())
    currency: str
    subtotal: Decimal = Field(sa_column=_amount_column())
    tax: Decimal = Field(sa_column=_amount_column())
    total: Decimal = Field(sa_column=_amount_column())
    inputs: dict[str, Any] = Field(sa_column=json_column())
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    finalized_at: datetime = Field(sa_column=time_column())

    @property
    def issued_number(self) -> str:
        """Return the number of an issued invoice. Raises ValueError for one that has none yet."""
        if self.number is None:
            raise ValueError(f"invoice {self.id} is not issued")
        return self.number


class InvoiceLine(SQLModel, table=True):
    """One line. `period` is the month whose usage or fee it is, which is an earlier one where usage came late.

    It is about the plan `plan_id`, in the version `plan_version`, which the first model has none of. A fee is for its
    days `first_day` to `last_day` at `price` a month, negative where it is given back; `code` is the plan's name then.
    `units` is the usage that it bills, `parts` how the amount comes about: `portal.billing.components.LineComponent`s.
    """

    __tablename__ = "invoice_lines"

    account_id: str = Field(primary_key=True, foreign_key="accounts.id")
    invoice_id: str = Field(primary_key=True, foreign_key="invoices.id")
    position: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    kind: str
    code: str
    description: str
    period: str
    units: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    amount: Decimal = Field(sa_column=_amount_column())
    parts: list[dict[str, str]] = Field(sa_column=json_column("[]"))
    plan_id: str
    plan_version: int | None = None
    tax_percent: Decimal | None = Field(default=None, sa_column=Column(Numeric, nullable=True))
    price: Decimal | None = Field(default=None, sa_column=_amount_column(is_nullable=True))
    first_day: date | None = None
    last_day: date | None = None


class InvoiceNumber(SQLModel, table=True):
    """The last number that was given in a year, that of issue in the provider's time zone.

    Its row is locked until the commit of the invoices that have the numbers, so none is lost.
    """

    __tablename__ = "invoice_numbers"

    year: int = Field(primary_key=True)
    last: int = Field(sa_column=Column(BigInteger, nullable=False))


class BillingAccount(SQLModel, table=True):
    """How far an account is billed: from `first_period` on; the next one is `next_period`, which ends at `next_at`.

    `billed_at` is when that last moved on, `failing_since` when billing the account first failed since then.
    """

    __tablename__ = "billing_accounts"
    __table_args__: ClassVar = (
        Index("ix_billing_accounts_next_at", "next_at", "account_id"),
        *(
            Index(f"ix_billing_accounts_{column}", column, postgresql_where=text(f"{column} IS NOT NULL"))
            for column in ("billed_at", "failing_since")
        ),
    )

    account_id: str = Field(primary_key=True, foreign_key="accounts.id")
    first_period: str
    next_period: str
    next_at: datetime = Field(sa_column=time_column())
    billed_at: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
    failing_since: datetime | None = Field(default=None, sa_column=time_column(is_nullable=True))
