"""Everything that is done to keys. Each answers its success or a Problem, and is one savepoint."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import strawberry

from portal import keys
from portal.core.errors import Invalid
from portal.graphql.engine.errors import ConflictProblem, ForbiddenProblem, NotFoundProblem, ValidationProblem
from portal.graphql.engine.operation import Info
from portal.graphql.engine.resolvers import mutation
from portal.graphql.engine.scalars import BigInt, Environment, Json
from portal.graphql.types.keys import Key, KeyId


@strawberry.input(description="A key's own limit, in addition to the plan's.")
class KeyLimitInput:
    name: str = strawberry.field(description="Lower-case letters, digits and dashes, like hourly.")
    amount: BigInt = strawberry.field(description="Units admitted per window: 1 to 1000000.")
    window_ms: BigInt = strawberry.field(description="Length of the window in milliseconds: 1000 to 86400000.")

    def to_limit(self) -> keys.KeyLimit:
        return keys.KeyLimit(self.name, self.amount, self.window_ms)


@strawberry.input(description="A new key.")
class CreateKeyInput:
    name: str = strawberry.field(description="1 to 100 visible characters.")
    environment: Environment = strawberry.field(default=Environment.LIVE, description="What it is for.")
    scopes: list[str] = strawberry.field(
        default_factory=list, description="What the key may be used for, like search:read."
    )
    allowed_ips: list[str] = strawberry.field(
        default_factory=list, description="IP addresses or networks from which the key may be used. Empty for anywhere."
    )
    metadata: Json | None = strawberry.field(default=None, description="Your own JSON object, at most 4 KiB.")
    expires_at: datetime | None = strawberry.field(default=None, description="When it expires; null for never.")
    limits: list[KeyLimitInput] = strawberry.field(
        default_factory=list, description="The key's own limits, at most 5, in addition to the plan's."
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


_EMPTY_LIST = "Send [] for none, or leave it out to keep what it is."
_NOT_NULL = {
    "name": ("name", "Leave it out to keep the name."),
    "scopes": ("scopes", _EMPTY_LIST),
    "allowed_ips": ("allowedIps", _EMPTY_LIST),
    "limits": ("limits", _EMPTY_LIST),
}
"""Fields of a change that null does not clear, as the schema spells them, and what to send instead."""


@strawberry.input(description="Changes to a key. Omitted fields stay unchanged.")
class UpdateKeyInput:
    id: strawberry.ID = strawberry.field(description="The key's id.")
    name: strawberry.Maybe[str | None] = strawberry.field(default=None, description="1 to 100 visible characters.")
    scopes: strawberry.Maybe[list[str] | None] = strawberry.field(
        default=None, description="The complete new list of scopes."
    )
    allowed_ips: strawberry.Maybe[list[str] | None] = strawberry.field(
        default=None, description="The complete new list of networks. Empty for anywhere."
    )
    metadata: strawberry.Maybe[Json | None] = strawberry.field(
        default=None, description="The complete new JSON object; null to empty it."
    )
    expires_at: strawberry.Maybe[datetime | None] = strawberry.field(
        default=None, description="When it expires; null for never."
    )

    limits: strawberry.Maybe[list[KeyLimitInput] | None] = strawberry.field(
        default=None, description="The complete new list of own limits. Empty if only the plan's apply."
    )
    version: str | None = strawberry.field(
        default=None,
        description="`Key.version` as you saw it: a key with another one is left unchanged, and a ConflictProblem at "
        "`version` says who changed what. Without it, the given fields are set whatever they are now.",
    )

    def to_changes(self) -> keys.KeyChanges:
        """Return what is to change. Raises Invalid where null was given and means nothing."""
        given: dict[str, Any] = {
            name: some.value
            for name in ("name", "scopes", "allowed_ips", "metadata", "expires_at", "limits")
            if (some := getattr(self, name)) is not None
        }
        for name, (field, hint) in _NOT_NULL.items():
            if name in given and given[name] is None:
                raise Invalid(f"`{field}` cannot be null.", hint=hint, path=(field,))
        if "limits" in given:
            given["limits"] = [limit.to_limit() for limit in given["limits"]]
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
    secret: str = strawberry.field(description="The secret to send. It is shown only once; only its SHA-256 is stored.")


@strawberry.type(description="A key was rotated.")
class RotatedKey:
    key: Key = strawberry.field(description="The key.")
    secret: str = strawberry.field(
        description="The new secret to send. It is shown only once; only its SHA-256 is stored."
    )


@strawberry.type(description="A key was changed.")
class KeyChanged:
    key: Key = strawberry.field(description="The key after the change.")


CreateKeyResult = Annotated[
    CreatedKey | ValidationProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("CreateKeyResult", description="Result of createKey."),
]
UpdateKeyResult = Annotated[
    KeyChanged | ValidationProblem | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("UpdateKeyResult", description="Result of updateKey."),
]
PauseKeyResult = Annotated[
    KeyChanged | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("PauseKeyResult", description="Result of pauseKey."),
]
ResumeKeyResult = Annotated[
    KeyChanged | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("ResumeKeyResult", description="Result of resumeKey."),
]
RevokeKeyResult = Annotated[
    KeyChanged | ValidationProblem | NotFoundProblem | ForbiddenProblem,
    strawberry.union("RevokeKeyResult", description="Result of revokeKey."),
]
RotateKeyResult = Annotated[
    RotatedKey | ValidationProblem | NotFoundProblem | ForbiddenProblem | ConflictProblem,
    strawberry.union("RotateKeyResult", description="Result of rotateKey."),
]
Reason = Annotated[str | None, strawberry.argument(description="Reason for the audit log, at most 500 characters.")]
Overlap = Annotated[int, strawberry.argument(description="Seconds for which the old secret still works: 0 to 2592000.")]
CurrentSecret = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="Rotate only while this is the key's newest secret; otherwise a ConflictProblem."),
]


@strawberry.type
class KeyMutations:
    @mutation("Create a key. Its secret is shown in this response only.", keys.create_key)
    async def create_key(
        self,
        info: Info,
        new: Annotated[CreateKeyInput, strawberry.argument(name="input", description="The key.")],
    ) -> CreateKeyResult:
        tx, caps = info.context.tx, info.context.caps
        fields = new.to_new(info.context.key_prefix)
        created = await keys.create_key(tx, info.context.actor, fields, caps.keys if caps else None)
        return CreatedKey(key=Key.of(created.key, tx.now), secret=created.secret)

    @mutation("Change the name, scopes, networks, metadata, expiry or own limits of a key.", keys.update_key)
    async def update_key(
        self,
        info: Info,
        changes: Annotated[UpdateKeyInput, strawberry.argument(name="input", description="The changes.")],
    ) -> UpdateKeyResult:
        tx, actor = info.context.tx, info.context.actor
        return _changed(info, await keys.update_key(tx, actor, changes.id, changes.to_changes(), changes.version))

    @mutation("Pause a key. Checks deny it until it is resumed.", keys.pause_key)
    async def pause_key(self, info: Info, key_id: KeyId) -> PauseKeyResult:
        return _changed(info, await keys.pause_key(info.context.tx, info.context.actor, key_id))

    @mutation("Resume a paused key. Checks accept it again.", keys.resume_key)
    async def resume_key(self, info: Info, key_id: KeyId) -> ResumeKeyResult:
        return _changed(info, await keys.resume_key(info.context.tx, info.context.actor, key_id))

    @mutation("Revoke a key permanently. Once this is answered, no check accepts it anywhere.", keys.revoke_key)
    async def revoke_key(self, info: Info, key_id: KeyId, reason: Reason = None) -> RevokeKeyResult:
        return _changed(info, await keys.revoke_key(info.context.tx, info.context.actor, key_id, reason))

    @mutation("Rotate a key: create a new secret. The old one keeps working during the overlap.", keys.rotate_key)
    async def rotate_key(
        self, info: Info, key_id: KeyId, overlap_seconds: Overlap = 86_400, current_secret_id: CurrentSecret = None
    ) -> RotateKeyResult:
        context = info.context
        overlap = timedelta(seconds=overlap_seconds)
        rotated = await keys.rotate_key(
            context.tx, context.actor, key_id, overlap, context.key_prefix, current_secret_id=current_secret_id
        )
        return RotatedKey(key=Key.of(rotated.key, context.tx.now), secret=rotated.secret)


def _changed(info: Info, row: keys.Key) -> KeyChanged:
    return KeyChanged(key=Key.of(row, info.context.tx.now))
