"""Which Redis shard holds an account: rendezvous hashing, so that adding a shard moves 1/N of the accounts."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Generic, TypeVar

Shard = TypeVar("Shard")
MAX_KNOWN = 100_000
"""Subjects whose shard is remembered: three hashes a check would cost as much as its JSON."""


class RendezvousRing(Generic[Shard]):
    """Shards by their stable names (ShardAddress.name)."""

    def __init__(self, shards: Sequence[tuple[str, Shard]]) -> None:
        self._shards = [(_hash_key(name), shard) for name, shard in shards]
        self._only = self._shards[0][1] if len(self._shards) == 1 else None
        self._known: dict[str, Shard] = {}

    def __iter__(self) -> Iterator[Shard]:
        return iter([shard for _, shard in self._shards])

    def of(self, subject: str) -> Shard:
        """Return the shard with the highest hash of (its name, the subject)."""
        if self._only is not None:
            return self._only
        shard = self._known.get(subject)
        if shard is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            text = subject.encode()
            shard = max(self._shards, key=lambda entry: blake2b(text, digest_size=8, key=entry[0]).digest())[1]
            self._known[subject] = shard
        return shard


def _hash_key(name: str) -> bytes:
    """Return a hash key of at most 64 bytes: of a longer name its digest, since long names often begin alike."""
    encoded = name.encode()
    return encoded if len(encoded) <= blake2b.MAX_KEY_SIZE else blake2b(encoded).digest()
