"""A clock and ids that are the same in every run."""

from __future__ import annotations

import itertools
import threading

from treerings.clock import Clock

__all__ = ["DeterministicClock"]


class DeterministicClock(Clock):
    """Starts at 2026-01-01T00:00:00Z; every look at it is `tick_ms` later. Ids count up: 0000…0001, 0000…0002."""

    __slots__ = ("_lock", "_now_ns", "_tick_ns")

    def __init__(self, *, start_ns: int = 1_767_225_600_000_000_000, tick_ms: float = 1.0) -> None:
        self._now_ns = start_ns
        self._tick_ns = int(tick_ms * 1e6)
        self._lock = threading.Lock()
        ids = itertools.count(1)
        super().__init__(time_ns=lambda: self._now_ns, monotonic_ns=self._tick, new_id=lambda: f"{next(ids):032x}")

    def _tick(self) -> int:
        with self._lock:
            self._now_ns += self._tick_ns
            return self._now_ns

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._now_ns += int(seconds * 1e9)
