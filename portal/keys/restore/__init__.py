"""What must hold of keys although PostgreSQL was restored to a time before. For portal.keys only.

tombstones.py  what Redis remembers of each change
reapply.py     takes away again what a restored database has lost
"""

from portal.keys.restore.reapply import Reapplied, reapply_tombstones
from portal.keys.restore.tombstones import (
    Tombstones,
    common_ips,
    common_scopes,
    earlier,
    read_key_tombstone,
    read_secret_tombstone,
    tombstones_of,
)

__all__ = [
    "Reapplied",
    "Tombstones",
    "common_ips",
    "common_scopes",
    "earlier",
    "read_key_tombstone",
    "read_secret_tombstone",
    "reapply_tombstones",
    "tombstones_of",
]
