"""Waiting for LiteLLM's own threads, on which it tells the end of a call that has returned to the program."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from .calls import CALLS

__all__ = ["drain"]

LONGEST_WAIT = 1.0
"""Seconds that a flush waits: another logger on those threads may be slow."""


def drain(seconds: float | None) -> None:
    """Wait until LiteLLM's pool of logging threads is idle, while calls are open that it may tell the end of."""
    module = sys.modules.get("litellm.litellm_core_utils.thread_pool_executor")
    pool = getattr(module, "executor", None)
    if pool is None or threading.current_thread() in getattr(pool, "_threads", ()):
        return
    until = time.monotonic() + (LONGEST_WAIT if seconds is None else min(seconds, LONGEST_WAIT))
    while CALLS and _busy(pool) and time.monotonic() < until:
        time.sleep(0.001)


def _busy(pool: Any) -> bool:
    """Whether a thread of the pool works or work waits; an executor has no public way to ask."""
    try:
        return bool(pool._work_queue.qsize()) or pool._idle_semaphore._value < len(pool._threads)
    except AttributeError:  # another kind of pool
        return False
