"""API keys: issue, list, update, pause, resume, rotate, revoke; override a plan's limit for one of them.

Owns `keys` and `key_secrets`. A key is one identity with one or two secrets; a secret is shown once and stored as
SHA-256. Emits `KeyCreated`, `KeyChanged`, `KeyRevoked`, and bumps the account's policy version with every change, so
that no process answers from an older state. Never counts and never decides: see portal.check.

    create.py  update.py  pause.py  resume.py  rotate.py  revoke.py  the verbs of an account
    override_limit.py  clear_override.py  end_overrides.py           the verbs of staff, and of a worker
    events.py  what is done to keys (KeyAction) and the events about it
    rules.py  secrets.py                                             what keys and secrets look like; what is in force
    restore/                                                         what must hold although PostgreSQL was restored
    describe_change.py                                               who changed what meanwhile
    models.py  store.py                                              its tables and every statement on them

A verb lists itself once, in its own file: `@requires` says the permission (the schema and docs/guides/roles.md repeat
it), its KeyAction the name in the audit log, the words of the activity page and what subscribers get. Adding one
touches that file, this face, its mutation in portal/graphql/types and, for a page, its document and form;
tests/architecture/test_names.py shows the list.
"""

from portal.keys.clear_override import clear_key_override
from portal.keys.create import CreatedKey, NewKey, create_key
from portal.keys.end_overrides import end_overrides
from portal.keys.events import KeyAction, change_told_by
from portal.keys.models import Key, KeySecret
from portal.keys.override_limit import NewOverride, override_key_limit
from portal.keys.pause import pause_key
from portal.keys.restore import (
    Reapplied,
    Tombstones,
    common_ips,
    common_scopes,
    earlier,
    read_key_tombstone,
    read_secret_tombstone,
    reapply_tombstones,
    tombstones_of,
)
from portal.keys.resume import resume_key
from portal.keys.revoke import revoke_key
from portal.keys.rotate import rotate_key
from portal.keys.rules import (
    KeyLimit,
    KeyStatus,
    LimitOverride,
    key_status,
    overrides_of,
    own_limits,
    settings_version,
    with_overrides,
)
from portal.keys.secrets import has_secret, mask_secrets, parse_search, secret_digest, secret_problem
from portal.keys.store import (
    KeyFilter,
    count_keys,
    find_key,
    find_keys_anywhere,
    find_secret_by_digest,
    get_key,
    list_expiring,
    list_keys,
    list_keys_by_id,
    list_names,
    list_older,
    list_secrets,
)
from portal.keys.update import KeyChanges, update_key

__all__ = [
    "CreatedKey",
    "Key",
    "KeyAction",
    "KeyChanges",
    "KeyFilter",
    "KeyLimit",
    "KeySecret",
    "KeyStatus",
    "LimitOverride",
    "NewKey",
    "NewOverride",
    "Reapplied",
    "Tombstones",
    "change_told_by",
    "clear_key_override",
    "common_ips",
    "common_scopes",
    "count_keys",
    "create_key",
    "earlier",
    "end_overrides",
    "find_key",
    "find_keys_anywhere",
    "find_secret_by_digest",
    "get_key",
    "has_secret",
    "key_status",
    "list_expiring",
    "list_keys",
    "list_keys_by_id",
    "list_names",
    "list_older",
    "list_secrets",
    "mask_secrets",
    "override_key_limit",
    "overrides_of",
    "own_limits",
    "parse_search",
    "pause_key",
    "read_key_tombstone",
    "read_secret_tombstone",
    "reapply_tombstones",
    "resume_key",
    "revoke_key",
    "rotate_key",
    "secret_digest",
    "secret_problem",
    "settings_version",
    "tombstones_of",
    "update_key",
    "with_overrides",
]
