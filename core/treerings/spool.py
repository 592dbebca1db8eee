"""Steps that wait on disk for a store that cannot be written: a file of JSON lines a process."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import orjson

from .errors import InvalidEvent
from .events import Status
from .plain import dump_json, dump_step
from .records import Step

__all__ = ["Spool"]

logger = logging.getLogger("treerings")

BATCH = 500


class Spool:
    """One folder of spool files for each store URL; a process writes one file and adopts those of dead processes.

    A file is renamed before it is replayed, so that two processes never replay the same one; steps are written by id, so
    a replay that was cut short can be repeated.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{os.getpid()}-{name}.jsonl"
        self.lines = 0
        """Lines in this process's file."""
        self._new = 0
        self._replayed = 0
        self._journaled = False
        self._aside = False

    @property
    def has_own(self) -> bool:
        """Whether this process has set steps aside that are not stored yet."""
        return self._aside

    def add(self, steps: Sequence[Step], new: int) -> None:
        """Set a batch aside, `new` steps of which were told for the first time; raises `OSError`."""
        if steps:
            self._append(steps)
        self._new += new
        self._aside = True

    def _append(self, steps: Sequence[Step]) -> None:
        """Write lines and force them to disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "ab") as file:
            file.write(b"".join(dump_json(dump_step(step)) + b"\n" for step in steps))
            file.flush()
            os.fsync(file.fileno())
        self.lines += len(steps)

    def journal(self, steps: Sequence[Step]) -> None:
        """Append a batch that stays in memory too: only a process that dies needs it. Raises `OSError`."""
        self._journaled = True
        self._append(steps)

    def forget_journal(self) -> None:
        """Everything journaled is stored: delete the file, unless steps were set aside in it."""
        if self._journaled and not self._aside:
            self.path.unlink(missing_ok=True)
            self.lines = 0
        self._journaled = False

    def replay(self, write: Callable[[Sequence[Step]], None]) -> None:
        """Write this process's own file to a store and delete it; whatever `write` raises leaves it in place."""
        if not self._aside:
            return
        try:
            for batch in _batches(self.path):
                write(batch)
        except FileNotFoundError:  # a process that cannot see ours, in another container, has taken it over
            logger.warning("%s was taken over by another process, which stores what is in it", self.path)
        self.path.unlink(missing_ok=True)
        self._replayed += self._new
        self._new = self.lines = 0
        self._aside = False

    def take_replayed(self) -> int:
        """How many steps were replayed since the last call."""
        count, self._replayed = self._replayed, 0
        return count

    def adopt(self, write: Callable[[Sequence[Step]], None]) -> None:
        """Replay the files that dead processes left."""
        if not self.path.parent.is_dir():
            return
        for path in sorted(self.path.parent.glob("*.jsonl")):
            owner = path.name.partition("-")[0]
            if path == self.path or not owner.isdigit() or _alive(int(owner)):
                continue
            claimed = path.with_name(f"{os.getpid()}-{path.name.partition('-')[2]}")
            try:
                path.rename(claimed)
            except OSError:  # another process was quicker
                continue
            for batch in _batches(claimed):
                for step in batch:
                    if step.status is Status.RUNNING:  # whoever ran it is dead; a later line may say how it ended
                        step.status = Status.INCOMPLETE
                write(batch)
            claimed.unlink(missing_ok=True)
            logger.info("Stored what an earlier process had set aside in %s", path)

    def close(self) -> None:
        """Leave the file, if there is one, to the next process."""
        self._new = self.lines = 0
        self._aside = False


def _batches(path: Path) -> Iterator[list[Step]]:
    from .schema import load_step  # pydantic, for the rare case that something waits

    batch: list[Step] = []
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                batch.append(load_step(orjson.loads(line)))
            except (orjson.JSONDecodeError, InvalidEvent) as error:  # a line that a power cut tore
                logger.warning("%s line %d cannot be read and is left out: %s", path, number, error)
            if len(batch) >= BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False  # an earlier process that had our number
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
