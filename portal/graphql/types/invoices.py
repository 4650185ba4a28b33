"""Invoices: the finalized ones, and the draft of the next, each with how every line comes about."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import Enum
from typing import Annotated, Self

import strawberry

from portal import billing
from portal.core.actor import Permission
from portal.graphql.engine.operation import Info
from portal.graphql.engine.pagination import After, Connection, First, Node, check_first, connection_of, decode_cursor
from portal.graphql.engine.resolvers import requires, resolver
from portal.graphql.engine.scalars import BigInt, value
from portal.graphql.types.plans.plan import Price

Rows = Callable[[Info], Awaitable[list[billing.InvoiceLine]]]


@strawberry.enum(description="What an invoice line charges for.")
class InvoiceLineKind(Enum):
    FEE = value(
        "fee", "The plan's fee for a number of days. Negative for days that were charged before and are credited."
    )
    USAGE = value("usage", "Units used in the month.")
    MINIMUM = value("minimum", "The difference to the tariff's minimum.")
    MAXIMUM = value("maximum", "The amount beyond the tariff's maximum, credited.")
    ADJUSTMENT = value("adjustment", "Units of an earlier month that arrived after its invoice was finalized.")


@strawberry.type(description="A component of an invoice line: a quantity at one price.")
class InvoicePart:
    quantity: str = strawberry.field(description="Number of units or packages, usually a whole number.")
    unit_price: str = strawberry.field(description="Exact price of one unit or package, like 0.00006.")
    flat: str = strawberry.field(description="Flat amount, whatever the quantity.")
    amount: str = strawberry.field(description="Exact amount of this component, not rounded.")

    @classmethod
    def of(cls, part: billing.LineComponent) -> Self:
        return cls(
            quantity=billing.format_decimal(part.quantity),
            unit_price=billing.format_decimal(part.unit),
            flat=billing.format_decimal(part.flat),
            amount=billing.format_decimal(part.amount),
        )


@strawberry.type(description="A line of an invoice.")
class InvoiceLine:
    kind: InvoiceLineKind = strawberry.field(description="What it is for.")
    description: str = strawberry.field(description="Description in words.")
    period: str = strawberry.field(description="The billing month that it is about, like 2026-11.")
    units: BigInt | None = strawberry.field(description="Units billed; null for a fee.")
    amount: Price = strawberry.field(description="Amount before tax.")
    parts: list[InvoicePart] = strawberry.field(
        description="How the amount of a usage line is composed; empty for other lines."
    )

    @classmethod
    def of(cls, row: billing.InvoiceLine, currency: str) -> Self:
        return cls(
            kind=InvoiceLineKind(row.kind),
            description=row.description,
            period=row.period,
            units=None if row.units is None else BigInt(row.units),
            amount=Price.of(row.amount, currency),
            parts=[InvoicePart.of(part) for part in billing.parts_from(row.parts)],
        )


@strawberry.interface(description="What an account owes for a month: the plan's fee in advance, usage in arrears.")
class Bill:
    period: str = strawberry.field(description="The billing month, like 2026-11.")
    period_start: datetime = strawberry.field(description="When the month began, in the account's time zone.")
    period_end: datetime = strawberry.field(description="When the month ends.")
    subtotal: Price = strawberry.field(description="Sum of the lines.")
    tax: Price = strawberry.field(description="Tax on the subtotal.")
    total: Price = strawberry.field(description="Amount due.")
    rows: strawberry.Private[Rows]

    @resolver("The lines that it consists of.")
    async def lines(self, info: Info) -> list[InvoiceLine]:
        return [InvoiceLine.of(row, self.total.currency) for row in await self.rows(info)]


@strawberry.type(description="A finalized invoice. It never changes.")
class Invoice(Node, Bill):
    number: str = strawberry.field(description="Invoice number, without gaps within a year.")
    finalized_at: datetime = strawberry.field(description="When it was finalized.")

    @classmethod
    def of(cls, row: billing.Invoice) -> Self:
        return cls(
            id=strawberry.ID(row.id),
            number=row.issued_number,
            period=row.period,
            period_start=row.period_start,
            period_end=row.period_end,
            subtotal=Price.of(row.subtotal, row.currency),
            tax=Price.of(row.tax, row.currency),
            total=Price.of(row.total, row.currency),
            finalized_at=row.finalized_at,
            rows=lambda info: info.context.loaders.invoice_lines.load(row.id),
        )


@strawberry.type(description="The next invoice as of now. It is finalized after its month has ended.")
class DraftInvoice(Bill):
    @classmethod
    def of(cls, draft: billing.Draft) -> Self:
        async def rows(_: Info) -> list[billing.InvoiceLine]:
            return draft.lines

        return cls(
            period=draft.period.name,
            period_start=draft.period.start,
            period_end=draft.period.end,
            subtotal=Price.of(draft.totals.subtotal, draft.currency),
            tax=Price.of(draft.totals.tax, draft.currency),
            total=Price.of(draft.totals.total, draft.currency),
            rows=rows,
        )


@requires(Permission.INVOICES_READ)
async def find_invoice(info: Info, invoice_id: str) -> Invoice | None:
    tx = info.context.tx
    row = await billing.find_invoice(tx, info.context.actor.account_id, invoice_id)
    return None if row is None else Invoice.of(row)


@strawberry.type
class InvoiceQueries:
    @resolver("Invoices of the account, newest first.")
    @requires(Permission.INVOICES_READ)
    async def invoices(self, info: Info, first: First = 25, after: After = None) -> Connection[Invoice]:
        tx, account_id = info.context.tx, info.context.actor.account_id
        before = decode_cursor(after) if after else None
        rows = await billing.list_invoices(tx, account_id, most=check_first(first) + 1, after=before)
        items = [((row.finalized_at, row.id), Invoice.of(row)) for row in rows]
        return connection_of(items, first, after, lambda: billing.count_invoices(tx, account_id))

    @resolver("An invoice of the account, or null if there is none with this id.", find_invoice)
    async def invoice(
        self,
        info: Info,
        invoice_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The id, like inv_06F….")],
    ) -> Invoice | None:
        return await find_invoice(info, invoice_id)

    @resolver("The next invoice as of now.")
    @requires(Permission.INVOICES_READ)
    async def draft_invoice(self, info: Info) -> DraftInvoice:
        tx, account_id = info.context.tx, info.context.actor.account_id
        return DraftInvoice.of(await billing.draft_invoice(tx, account_id))
