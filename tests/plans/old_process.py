"""What a process of the version before writes for a choice: at once whichever way, and none of the columns since."""

from datetime import datetime

from sqlalchemy import text

from portal.core.database import Tx

_STATEMENTS = (
    """INSERT INTO plan_choices (account_id, chosen_at, plan_id)
    SELECT CAST(:account AS text), greatest(:at, max(chosen_at) + interval '1 microsecond'), :plan
    FROM plan_choices WHERE account_id = :account""",
    """INSERT INTO subscriptions (account_id, plan_id, started_at) VALUES (:account, :plan, :at)
    ON CONFLICT (account_id) DO UPDATE SET plan_id = :plan, started_at = :at""",
)


async def choose_as_old_process(tx: Tx, account_id: str, plan_id: str, at: datetime) -> None:
    for statement in _STATEMENTS:
        await tx.execute(text(statement), {"account": account_id, "plan": plan_id, "at": at})
