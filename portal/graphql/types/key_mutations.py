"""Everything that is done to keys. Each answers its success or a Problem, and is one savepoint."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import strawberry

from portal import keys
from portal.core.errors import Invalid
from portal.graphql.engine.context import Info
from portal.graphql.engine.problems import (
    ConflictProblem,
    ForbiddenProblem,
    NotFoundProblem,
    ValidationProblem,
)
from portal.graphql.engine.resolvers import mutation
from portal.graphql.engine.scalars import BigInt, Environment, Json
from portal.graphql.types.keys import Key, KeyId


@strawberry.input(description="A limit of a key's own, beside its plan's.")
class KeyLimitInput:
    name: str = strawberry.field(description="Small letters, digits and dashes, like hourly.")
    amount: BigInt = strawberry.field(description="Units admitted within one window: 1 to 1000000.")
    window_ms: BigInt = strawberry.field(description="The window in milliseconds: 1000 to 86400000.")

    def to_limit(self) -> keys.KeyLimit:
        return keys.KeyLimit(self.name, self.amount, self.window_ms)


@strawberry.input(description="A new key.")
class CreateKeyInput:
    name: str = strawberry.field(description="1 to 100 visible characters.")
    environment: Environment = strawberry.field(default=Environment.LIVE, description="What it is for.")
    scopes: list[str] = strawberry.field(default_factory=list, description="What it may be used for, like search:read.")
    allowed_ips: list[str] = strawberry.field(
        default_factory=list, description="Addresses or networks that it may be used from; empty: all."
    )
    metadata: Json | None = strawberry.field(default=None, description="A JSON object of at most 4 KiB.")
    expires_at: datetime | None = strawberry.field(default=None, description="From when on it is refused; null: never.")
    limits: list[KeyLimitInput] = strawberry.field(
        default_factory=list, description="Limits of its own, at most 5; the plan's hold as well."
    )

    def to_new(self, prefix: str) -> keys.NewKey:
        return keys.NewKey(
            name=self.name,
            environment=self.environment.value,
            scopes=self.scopes,
            allowed_ips=self.allowed_ips,
            metadata=_object(self.metadata),
            expires_at=self.expires_at,
            limits=[limit.to_limit() for limit in self.limits],
            prefix=prefix,
        )


@strawberry.input(description="Changes to a key; what is left out stays as it is.")
class UpdateKeyInput:
    id: strawberry.ID = strawberry.field(description="The key's id.")
    name: strawberry.Maybe[str] = strawberry.field(default=None, description="1 to 100 visible characters.")
    scopes: strawberry.Maybe[list[str]] = strawberry.field(default=None, description="All scopes that it has then.")
    allowed_ips: strawberry.Maybe[list[str]] = strawberry.field(
        default=None, description="All networks that it may be used from then; empty: from anywhere."
    )
    metadata: strawberry.Maybe[Json | None] = strawberry.field(
        default=None, description="The whole JSON object; null empties it."
    )
    expires_at: strawberry.Maybe[datetime | None] = strawberry.field(
        default=None, description="From when on it is refused; null: never."
    )

    limits: strawberry.Maybe[list[KeyLimitInput]] = strawberry.field(
        default=None, description="All limits of its own; empty: only the plan's hold."
    )

    def to_changes(self) -> keys.KeyChanges:
        given: dict[str, Any] = {
            name: some.value
            for name in ("name", "scopes", "allowed_ips", "metadata", "expires_at")
            if (some := getattr(self, name)) is not None
        }
        if self.limits is not None:
            given["limits"] = [limit.to_limit() for limit in self.limits.value]
        if "metadata" in given:
            given["metadata"] = _object(given["metadata"])
        return keys.KeyChanges(**given)


def _object(metadata: Any) -> dict[str, Any]:
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise Invalid("Metadata is a JSON object.", hint='Write it like {"team": "search"}.', path=("metadata",))
    return metadata


@strawberry.type(description="A key was created.")
class CreatedKey:
    key: Key = strawberry.field(description="The key.")
    secret: str = strawberry.field(description="What to send. Shown this once and kept nowhere.")


@strawberry.type(description="A key has a new secret.")
class RotatedKey:
    key: Key = strawberry.field(description="The key.")
    secret: str = strawberry.field(description="What to send from now on. Shown this once and kept nowhere.")


@strawberry.type(description="A key is as the mutation wanted it.")
class KeyChanged:
    key: Key = strawberry.field(description="The key as it is now.")


CreateKeyResult = Annotated[
    CreatedKey | ValidationProblem | ForbiddenProblem,
    strawberry.union("CreateKeyResult", description="What createKey answers."),
]
UpdateKeyResult = Annotated[
    KeyChanged | ValidationProblem | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("UpdateKeyResult", description="What updateKey answers."),
]
PauseKeyResult = Annotated[
    KeyChanged | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("PauseKeyResult", description="What pauseKey answers."),
]
ResumeKeyResult = Annotated[
    KeyChanged | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("ResumeKeyResult", description="What resumeKey answers."),
]
RevokeKeyResult = Annotated[
    KeyChanged | NotFoundProblem | ForbiddenProblem,
    strawberry.union("RevokeKeyResult", description="What revokeKey answers."),
]
RotateKeyResult = Annotated[
    RotatedKey | ValidationProblem | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("RotateKeyResult", description="What rotateKey answers."),
]
Reason = Annotated[str | None, strawberry.argument(description="Why, for the audit log; at most 500 characters.")]
Overlap = Annotated[int, strawberry.argument(description="For how long the old secret still works: 0 to 2592000.")]


@strawberry.type
class KeyMutations:
    @mutation("Create a key. Its secret is in this answer only.", keys.create_key)
    async def create_key(
        self,
        info: Info,
        new: Annotated[CreateKeyInput, strawberry.argument(name="input", description="The key.")],
    ) -> CreateKeyResult:
        tx = info.context.tx
        created = await keys.create_key(tx, info.context.actor, new.to_new(info.context.key_prefix))
        return CreatedKey(key=Key.of(created.key, tx.now), secret=created.secret)

    @mutation("Change name, scopes, networks, metadata, expiry or own limits.", keys.update_key)
    async def update_key(
        self,
        info: Info,
        changes: Annotated[UpdateKeyInput, strawberry.argument(name="input", description="What to change.")],
    ) -> UpdateKeyResult:
        return _changed(
            info, await keys.update_key(info.context.tx, info.context.actor, changes.id, changes.to_changes())
        )

    @mutation("Refuse a key until it is resumed.", keys.pause_key)
    async def pause_key(self, info: Info, key_id: KeyId) -> PauseKeyResult:
        return _changed(info, await keys.pause_key(info.context.tx, info.context.actor, key_id))

    @mutation("Let a paused key verify again.", keys.resume_key)
    async def resume_key(self, info: Info, key_id: KeyId) -> ResumeKeyResult:
        return _changed(info, await keys.resume_key(info.context.tx, info.context.actor, key_id))

    @mutation("End a key for ever. After this answer it verifies nowhere.", keys.revoke_key)
    async def revoke_key(self, info: Info, key_id: KeyId, reason: Reason = None) -> RevokeKeyResult:
        return _changed(info, await keys.revoke_key(info.context.tx, info.context.actor, key_id, reason))

    @mutation("Give a key a new secret; the old one works on during the overlap.", keys.rotate_key)
    async def rotate_key(self, info: Info, key_id: KeyId, overlap_seconds: Overlap = 86_400) -> RotateKeyResult:
        context = info.context
        overlap = timedelta(seconds=overlap_seconds)
        rotated = await keys.rotate_key(context.tx, context.actor, key_id, overlap, context.key_prefix)
        return RotatedKey(key=Key.of(rotated.key, context.tx.now), secret=rotated.secret)


def _changed(info: Info, row: keys.Key) -> KeyChanged:
    return KeyChanged(key=Key.of(row, info.context.tx.now))
