"""What decisions must look like, judged by nothing but their own instants (Redis's clock, inside each request id)."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from portal.core.ids import decode_128

_NODE_BITS = (1 << 40) - 1


def decided_us(request_id: str) -> int:
    return decode_128(request_id[4:]) >> 72


def node_of(request_id: str) -> int:
    """Which process incarnation decided."""
    return decode_128(request_id[4:]) >> 32 & _NODE_BITS


def most_in_window(admitted_us: Iterable[int], window_us: int) -> int:
    """The largest number of instants within any half-open window of this length."""
    instants = sorted(admitted_us)
    return max((index + 1 - bisect_right(instants, at - window_us) for index, at in enumerate(instants)), default=0)


def wrong_denials(admitted_us: Iterable[int], denied_us: Sequence[int], limit: int, window_us: int) -> list[int]:
    """Instants at which a unit was denied although fewer than `limit` were in the window that ended there."""
    instants = sorted(admitted_us)
    return [at for at in denied_us if bisect_right(instants, at) - bisect_right(instants, at - window_us) < limit]


def span_seconds(instants_us: Sequence[int]) -> float:
    return (max(instants_us) - min(instants_us)) / 1e6 if instants_us else 0.0
