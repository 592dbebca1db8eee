"""Time and ids: the one place where either comes from."""

from __future__ import annotations

import itertools
import os
import random
import time
from collections.abc import Callable

__all__ = ["Clock", "SystemClock"]


class Clock:
    """A source of UTC time, monotonic time, sequence numbers and ids; `treerings.testing` has a deterministic one."""

    __slots__ = ("monotonic_ns", "new_id", "next_sequence", "time_ns")

    def __init__(
        self,
        *,
        time_ns: Callable[[], int],
        monotonic_ns: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self.time_ns = time_ns
        self.monotonic_ns = monotonic_ns
        self.new_id = new_id
        self.next_sequence = itertools.count(1).__next__

    def at(self, time_ns: int) -> int:
        """The monotonic time at which UTC was `time_ns`, as far as the two clocks ran alike since then."""
        return self.monotonic_ns() - (self.time_ns() - time_ns)


class SystemClock(Clock):
    """The machine's clocks, and ids of 32 hex digits in the layout of UUIDv7 (RFC 9562, section 5.7, method 3).

    48 bits of milliseconds, the version, 12 bits of the millisecond's fraction, the variant, 62 random bits: ids sort by
    time, and their low half is a valid W3C span id. The random bits come from a generator of our own, so that the
    program's `random` keeps its sequence.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(time_ns=time.time_ns, monotonic_ns=time.perf_counter_ns, new_id=_new_id)


_random = random.Random(os.urandom(32))
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))

_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)


def _new_id(time_ns: Callable[[], int] = time.time_ns, getrandbits: Callable[[int], int] = _random.getrandbits) -> str:
    milliseconds, rest = divmod(time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    return "%032x" % (milliseconds << 80 | _VERSION_AND_VARIANT | fraction << 64 | getrandbits(62))
