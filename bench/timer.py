"""A timer of Linux that epoll can wait for to the microsecond: epoll's own timeout knows only milliseconds."""

import ctypes
import os

CLOCK_MONOTONIC = 1
"""perf_counter's clock."""
TFD_TIMER_ABSTIME = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class _TimerSpec(ctypes.Structure):
    _fields_ = (
        ("interval_seconds", ctypes.c_long),
        ("interval_nanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


class Timer:
    """Register `number` for EPOLLIN: readable from the armed instant on, until it is armed again."""

    def __init__(self) -> None:
        self.number: int = _LIBC.timerfd_create(CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.number < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _TimerSpec()
        self._address = ctypes.byref(self._spec)

    def arm(self, instant: float) -> None:
        """`instant` as perf_counter tells it. One in the past rings at once."""
        seconds = int(instant)
        self._spec.seconds = seconds
        self._spec.nanoseconds = int((instant - seconds) * 1e9) or 1
        _LIBC.timerfd_settime(self.number, TFD_TIMER_ABSTIME, self._address, None)

    def close(self) -> None:
        os.close(self.number)
