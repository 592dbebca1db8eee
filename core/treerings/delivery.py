"""The way of finished batches into the store: in order, retried, set aside on disk when the store stays away."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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

    The store opens on a thread of its own, since importing its libraries takes a good part of a second. Until it is open,
    every batch is journaled in the spool as well, so that a process killed in its first second loses no more than later.
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
        self._opening: _Opening | None = None
        self._pending: deque[Batch] = deque()
        self._pending_steps = 0
        self._max_pending = max_pending
        self._clock = clock
        self._retry_at = 0.0
        self._delay = 0.0
        self._failures = 0
        self._adopted = False
        self._heartbeat_at = 0.0
        self.stored = 0
        """Steps in the store, each counted once."""
        self.waiting = 0
        """Steps that wait, in memory or in this process's spool."""
        self.dropped = 0
        self.problem: str | None = None
        """Why the store cannot be written at the moment; None when all is well."""

    @property
    def idle(self) -> bool:
        """Whether nothing waits: neither new steps nor later states of steps that are stored."""
        return not self._pending and not self._spool.has_own

    def send(self, steps: Sequence[Step], new: int) -> None:
        """Take a batch, `new` steps of which are told for the first time, and write what can be written."""
        self._pending.append(Batch(steps, new))
        self._pending_steps += len(steps)
        self.waiting += new
        self.attempt()
        while self._pending_steps > self._max_pending and len(self._pending) > 1:
            self._set_aside(self._take_oldest())

    def attempt(self, *, force: bool = False) -> bool:
        """Write what waits unless a retry is not due yet; whether nothing waits now. `force` waits for the store to open."""
        if self.idle:
            self._beat()
            return True
        if not force and self._clock() < self._retry_at:
            return False
        try:
            store = self._opened(wait=force)
            if store is None:
                self._journal()
                return False
            self._spool.replay(store.write)
            self._count_stored(self._spool.take_replayed())
            while self._pending:
                self._write(store, self._pending[0].steps)
                self._count_stored(self._take_oldest().new)
        except Exception as error:  # StoreError by contract; a store that breaks it is treated the same
            self._failed(error)
            return False
        self._spool.forget_journal()
        self._delay = 0.0
        self._failures = 0
        if self.problem is not None:
            logger.warning("The store can be written again; what waited is stored")
            self.problem = None
        return True

    def close(self) -> None:
        """Try a last time, set aside on disk what still waits, close the store."""
        self.attempt(force=True)
        while self._pending:
            self._set_aside(self._take_oldest())
        if self._spool.has_own:
            logger.error(
                "%d steps could not be stored (%s). They are kept in %s and stored at the next run.",
                self._spool.lines,
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

    def _opened(self, *, wait: bool) -> Store | None:
        """The store; None while it opens. Raises what opening it raised; the next call tries again."""
        if self.store is None:
            if self._opening is None:
                self._opening = _Opening(self._open_store)
            if not self._opening.done(wait):
                return None
            opening, self._opening = self._opening, None
            self.store = opening.result()
            self._adopted = False
        if not self._adopted:
            self._spool.adopt(self.store.write)
            self._adopted = True
        return self.store

    def _write(self, store: Store, steps: Sequence[Step]) -> None:
        """Write a batch; at its third failure in a row, step by step.

        When some of the steps can be written and some cannot, the store is well and these are left out: they must not
        keep back everything after them.
        """
        try:
            store.write(steps)
        except Exception:
            if self._failures < 2:
                raise
            refused = self._write_each(store, steps)
            if len(refused) == len(steps):
                raise
            for step, error in refused:
                self.dropped += 1
                self.stored -= 1
                logger.error(
                    "Step %s (%s %r) is left out: the store refuses it: %s", step.id, step.kind, step.name, error
                )

    def _write_each(self, store: Store, steps: Sequence[Step]) -> list[tuple[Step, Exception]]:
        refused: list[tuple[Step, Exception]] = []
        for number, step in enumerate(steps):
            try:
                store.write([step])
            except Exception as error:  # any of a store's
                refused.append((step, error))
                if number == len(refused) - 1 == 2:  # the store is down: spare it the rest
                    return [(step, error) for step in steps]
        return refused

    def _count_stored(self, new: int) -> None:
        self.stored += new
        self.waiting -= new

    def before_fork(self) -> None:
        """Wait for a store that opens: a child could never import what another thread imports at the moment of the fork."""
        if self._opening is not None:
            self._opening.settled.wait(5)

    def _journal(self) -> None:
        """Put what waits in memory on disk too."""
        for batch in self._pending:
            if not batch.journaled:
                try:
                    self._spool.journal(batch.steps)
                except OSError as error:
                    logger.debug("No journal: %s", error)
                    return
                batch.journaled = True

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

    def _take_oldest(self) -> Batch:
        batch = self._pending.popleft()
        self._pending_steps -= len(batch.steps)
        return batch

    def _set_aside(self, batch: Batch) -> None:
        try:
            self._spool.add([] if batch.journaled else batch.steps, batch.new)
        except Exception as error:  # the disk is full or read-only
            self.dropped += batch.new
            self.waiting -= batch.new
            logger.error(
                "%d new steps and news of %d more are lost: neither the store (%s) nor %s can be written: %s",
                batch.new,
                len(batch.steps) - batch.new,
                self.problem,
                self._spool.path,
                error,
            )

    def _failed(self, error: Exception) -> None:
        text = str(error) if isinstance(error, TreeringsError) else f"{type(error).__name__}: {error}"
        if self.problem != text:
            logger.error("The store cannot be written; steps wait and are tried again: %s", text)
            self.problem = text
        self._failures += 1
        self._delay = min(30.0, max(0.5, self._delay * 2))
        self._retry_at = self._clock() + self._delay * (0.75 + random.SystemRandom().random() / 2)


@dataclass(slots=True)
class Batch:
    """Steps that wait for the store."""

    steps: Sequence[Step]
    new: int
    """How many of them are told for the first time."""
    journaled: bool = False


class _Opening:
    """A store that is being opened."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open_store = open_store
        self._store: Store | None = None
        self._error: BaseException | None = None
        self.settled = threading.Event()
        try:
            threading.Thread(target=self._run, name="treerings-store", daemon=True).start()
        except RuntimeError:  # the interpreter is going down: no new threads
            self._run()

    def _run(self) -> None:
        try:
            self._store = self._open_store()
        except BaseException as error:  # handed to the thread that asks for the result
            self._error = error
        finally:
            self.settled.set()

    def done(self, wait: bool) -> bool:
        return self.settled.wait() if wait else self.settled.wait(0.02)

    def result(self) -> Store:
        if self._error is not None:
            raise self._error
        assert self._store is not None
        return self._store
