"""Make the demo's accounts, people, tokens and keys, through the same verbs as everybody's.

A verb takes its time from the transaction, so setting that back makes a key that is ninety days old, and its audit row.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from portal import accounts, keys, plans
from portal.cli.demo.fixtures import (
    ACCOUNT_AGE,
    CAST,
    GATEWAY,
    HISTORY,
    OVERLAP,
    REVOKED_BECAUSE,
    STAFF_ACCOUNT,
    STAFF_EMAIL,
    CastAccount,
    DemoKey,
    KeyFate,
)
from portal.cli.demo.state_file import DemoState, KeyHistory, KeySpan
from portal.cli.demo.usage import ago_us
from portal.core.actor import SYSTEM, Actor, Role
from portal.core.clock import to_microseconds
from portal.core.database import Tx
from portal.core.ids import AccountId

TOKEN_NAME = "Demo"  # noqa: S105 the name of a token, not one
DENIALS: dict[KeyFate, tuple[str, int, timedelta]] = {
    "paused": ("DISABLED", 3, timedelta(days=12)),
    "revoked": ("REVOKED", 4, timedelta(days=9)),
}
"""What callers who did not notice are told, how often a day, and for how long."""


@dataclass(slots=True)
class _Made:
    logins: dict[str, dict[str, str]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    histories: list[KeyHistory] = field(default_factory=list)


async def make_accounts(tx: Tx, prefix: str) -> DemoState:
    """All of the cast. Raises Conflict where somebody of it exists already."""
    made = _Made()
    for cast in CAST:
        await _make_account(tx, cast, prefix, made)
    made.logins["staff"] = await _make_staff(tx)
    service = await accounts.create_service_token(tx, SYSTEM, GATEWAY)
    return DemoState(
        made_us=to_microseconds(tx.now),
        seed=secrets.randbits(32),
        reader_password=secrets.token_hex(24),
        service_token=service.token,
        logins=made.logins,
        keys=made.keys,
        histories=made.histories,
    )


async def _make_account(tx: Tx, cast: CastAccount, prefix: str, made: _Made) -> None:
    email, name = cast.owner
    password = secrets.token_urlsafe(12)
    with _ago(tx, ACCOUNT_AGE):
        person, account = await accounts.sign_up(tx, accounts.NewAccount(email, password, name, cast.name))
        actor = Actor("person", person.id, AccountId(account.id), role=Role.OWNER)
        for member in cast.members:
            await accounts.add_member(tx, actor, member)
        plan = next(plan for plan in await plans.list_plans(tx) if plan.slug == cast.plan)
        if not plan.is_default:
            await plans.subscribe(tx, actor, plan.id)
    created = await _make_keys(tx, actor, cast.keys, prefix)
    made.keys[cast.plan] = created[0].secret
    for created_key, key in zip(created, cast.keys, strict=True):
        made.histories += await _histories(tx, created_key.key, key)
    if cast.login is not None:
        made.logins[cast.login] = {**await _login(tx, actor, email, password), "account_id": account.id}


async def _make_keys(tx: Tx, actor: Actor, cast: tuple[DemoKey, ...], prefix: str) -> list[keys.CreatedKey]:
    """In the order of `cast`. Each key's fate comes after all are created, so that the audit log runs forward."""
    created: dict[str, keys.CreatedKey] = {}
    now = tx.now
    for key in sorted(cast, key=lambda key: -key.age_days):
        expires_at = now + timedelta(days=key.expires_in_days) if key.expires_in_days else None
        with _ago(tx, timedelta(days=key.age_days)):
            created[key.name] = await keys.create_key(
                tx,
                actor,
                keys.NewKey(key.name, key.environment, key.scopes, key.allowed_ips, key.metadata, expires_at, prefix),
            )
    for fate, ago in HISTORY.items():
        for key in cast:
            if key.fate == fate:
                with _ago(tx, ago):
                    await _meet(tx, actor, created[key.name].key.id, fate, prefix)
    return [created[key.name] for key in cast]


async def _meet(tx: Tx, actor: Actor, key_id: str, fate: KeyFate, prefix: str) -> None:
    if fate == "revoked":
        await keys.revoke_key(tx, actor, key_id, REVOKED_BECAUSE)
    elif fate == "paused":
        await keys.pause_key(tx, actor, key_id)
    elif fate == "rotated":
        await keys.rotate_key(tx, actor, key_id, OVERLAP, prefix)


async def _histories(tx: Tx, key: keys.Key, cast: DemoKey) -> list[KeyHistory]:
    """Return the use of a key, and the denials that its callers still get after its end."""
    now_us = to_microseconds(tx.now)
    created_us = ago_us(now_us, timedelta(days=cast.age_days))
    fate_us = ago_us(now_us, HISTORY[cast.fate]) if cast.fate != "none" else now_us
    newest, *older = await keys.list_secrets(tx, key.account_id, [key.id])
    spans = [KeySpan(secret.id, created_us, now_us, "VALID") for secret in older]
    if older:
        spans.append(KeySpan(newest.id, fate_us, now_us, "VALID"))
    else:
        spans.append(KeySpan(newest.id, created_us, fate_us, "VALID"))
    histories = [KeyHistory(key.account_id, key.id, key.environment, cast.daily_calls, cast.rhythm, spans)]
    if cast.fate in DENIALS:
        code, daily, lasting = DENIALS[cast.fate]
        span = KeySpan(newest.id, fate_us, fate_us + lasting // timedelta(microseconds=1), code)
        histories.append(KeyHistory(key.account_id, key.id, key.environment, daily, cast.rhythm, [span]))
    return histories


async def _make_staff(tx: Tx) -> dict[str, str]:
    made = await accounts.create_user(tx, STAFF_EMAIL, is_staff=True, account_name=STAFF_ACCOUNT)
    actor = Actor("person", made.person.id, AccountId(made.account.id), role=Role.OWNER, is_staff=True)
    return await _login(tx, actor, STAFF_EMAIL, made.password)


async def _login(tx: Tx, actor: Actor, email: str, password: str) -> dict[str, str]:
    token = await accounts.create_personal_token(tx, actor, TOKEN_NAME)
    return {"email": email, "password": password, "token": token.token}


@contextmanager
def _ago(tx: Tx, ago: timedelta) -> Iterator[None]:
    """Verbs inside take this for the present."""
    now = tx.now
    tx.now = now - ago
    try:
        yield
    finally:
        tx.now = now
