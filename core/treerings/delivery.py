"""The way of finished batches into the store: in order, retried, set aside on disk when the store stays away."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence

from .errors import TreeringsError
from .records import Step
from .spool import Spool
from .store import Store

__all__ = ["Delivery"]

logger = logging.getLogger("treerings")


class Delivery:
    """Writes batches to a store in the order in which they came. Used by one thread at a time.

    A batch that cannot be written waits, and everything after it; it is tried again after 0.5 s, doubling up to 30 s with
    jitter. At most `max_pending` steps wait in memory, the oldest above that go to the spool on disk, and so does
    everything at `close`. A spool is written to the store before anything newer. When not even the spool can be
    written, steps are dropped, counted and reported.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        spool: Spool,
        *,
        max_pending: int = 20_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_store = open_store
        self.store: Store | None = None
        self._spool = spool
        self._pending: deque[tuple[Sequence[Step], int]] = deque()
        self._pending_steps = 0
        self._max_pending = max_pending
        self._clock = clock
        self._retry_at = 0.0
        self._delay = 0.0
        self._heartbeat_at = 0.0
        self.stored = 0
        """Steps in the store, each counted once."""
        self.waiting = 0
        """Steps that wait, in memory or in this process's spool."""
        self.dropped = 0
        self.problem: str | None = None
        """Why the store cannot be written at the moment; None when all is well."""

    def send(self, steps: Sequence[Step], new: int) -> None:
        """Take a batch, `new` steps of which are told for the first time, and write what can be written."""
        self._pending.append((steps, new))
        self._pending_steps += len(steps)
        self.waiting += new
        self.attempt()
        while self._pending_steps > self._max_pending and len(self._pending) > 1:
            self._set_aside(*self._take_oldest())

    def attempt(self, *, force: bool = False) -> bool:
        """Write what waits unless a retry is not due yet; whether nothing waits now."""
        if not self._pending and not self._spool.has_own:
            self._beat()
            return True
        if not force and self._clock() < self._retry_at:
            return False
        try:
            store = self._opened()
            self._spool.replay(store.write)
            while self._pending:
                steps, new = self._pending[0]
                store.write(steps)
                self._take_oldest()
                self.stored += new
                self.waiting -= new
        except Exception as error:  # StoreError by contract; a store that breaks it is treated the same
            self._failed(error)
            return False
        self.stored += self._spool.take_replayed()
        self.waiting = 0
        self._delay = 0.0
        if self.problem is not None:
            logger.warning("The store can be written again; nothing that waited was lost")
            self.problem = None
        return True

    def close(self) -> None:
        """Try a last time, set aside on disk what still waits, close the store."""
        self.attempt(force=True)
        while self._pending:
            self._set_aside(*self._take_oldest())
        if self._spool.has_own:
            logger.error(
                "%d steps could not be stored (%s). They are kept in %s and stored at the next run.",
                self.waiting,
                self.problem,
                self._spool.path,
            )
        self._spool.close()
        if self.store is not None:
            try:
                self.store.close()
            except Exception as error:  # nothing waits any more
                logger.warning("The store did not close: %s", error)
            self.store = None

    def _opened(self) -> Store:
        if self.store is None:
            self.store = self._open_store()
            self._spool.adopt(self.store.write)
        return self.store

    def _beat(self) -> None:
        """Let a store with writers' heartbeats know that this process lives, every ten seconds."""
        beat = getattr(self.store, "heartbeat", None)
        if beat is None or self._clock() - self._heartbeat_at < 10:
            return
        self._heartbeat_at = self._clock()
        try:
            beat()
        except Exception as error:  # the next write reports it properly
            logger.debug("No heartbeat: %s", error)

    def _take_oldest(self) -> tuple[Sequence[Step], int]:
        steps, new = self._pending.popleft()
        self._pending_steps -= len(steps)
        return steps, new

    def _set_aside(self, steps: Sequence[Step], new: int) -> None:
        try:
            self._spool.add(steps, new)
        except OSError as error:
            self.dropped += new
            self.waiting -= new
            logger.error(
                "%d steps are lost: neither the store (%s) nor %s can be written: %s",
                new,
                self.problem,
                self._spool.path,
                error,
            )

    def _failed(self, error: Exception) -> None:
        text = str(error) if isinstance(error, TreeringsError) else f"{type(error).__name__}: {error}"
        if self.problem != text:
            logger.error("The store cannot be written; steps wait and are tried again: %s", text)
            self.problem = text
        self._delay = min(30.0, max(0.5, self._delay * 2))
        self._retry_at = self._clock() + self._delay * (0.75 + random.SystemRandom().random() / 2)
