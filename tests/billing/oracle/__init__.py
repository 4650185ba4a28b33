"""What accounts owe, calculated slowly and a second time.

Written from the design page alone, by somebody who had not read portal.plans or portal.billing, so that it can be held
against them: fractions over raw events, nothing cached by bucket, nothing from the product. Where the design leaves
something open, this is how it is read here (4, 8 and 13 were taken over from the product; the page is silent):

1. Undo is a request of its own. Choosing a lower plan is a downgrade, also on the day of the upgrade.
2. Only an undo that was carried out uses up the one of its period; one that became a downgrade does not.
3. A pending change chosen after an upgrade is lost by its undo: the one from before the upgrade comes back.
4. The share against which an upgrade from overage is measured is by days also where the plan has no fee.
5. "A plan that had all days" is a plan version: two versions of one plan in a period are divided, each by its own days.
6. Shares of plans held earlier are rounded up one by one; a plan without a fee counts whole, and one with overage
   without bound, even if no day is left to it (replaced on the day on which it began).
7. Staff cannot move an account to another version of the plan that it has: that waits for the next period, as for all.
   Moving up is refused where an upgrade would be; moving down is not refused for units of the day.
8. What staff give back by moving an account down is a line in the running sum of the period's fees. The fee ahead
   counts as invoiced from its first instant, whenever finalizing runs: where less than it would remain, the move is
   refused (credit notes come later).
9. Bounds hold sums of rounded lines: a minimum is filled up to round(minimum x share), a maximum is round(maximum).
10. Told at the instant of finalizing is late; used at the instant of a change is not "used before" (half-open).
11. One adjustment line per period and plan: versions of one plan are added, unless taxed otherwise.
12. The currency is taken when the plan takes effect; an undo gives it back.
13. Where an invoice would be below 0, without tax or with it, the sum of each tax rate is carried over whole. What
    staff give back has the tax rate of the plan that charged the dearest price.
14. Choosing the zone that the account has is nothing, and does not use up the period's change.
15. Every charge prices all units of its stretch: there is one meter.

Not here: waiting upgrades (they are upgrades when admitted), closing, trials, coupons over time, caps.
"""
