"""JSON Lines: a whole store in one module, and the one to copy for a store of your own.

The file is append-only: every line is the state of a step when it was written, and the last state of a step wins. Any
number of processes may append at once. Reading goes through `MemoryStore`, which takes in what was added since the last
look; so this store is for thousands of steps, not for millions, and needs no more than a text editor to be read.

    treerings show last --store jsonl:///runs.jsonl     # relative;  jsonl:////tmp/runs.jsonl is absolute
    treerings show last --store jsonl:///folder         # a directory: folder/steps.jsonl
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader, FileIO, IOBase
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from treerings.errors import InvalidEvent, StoreError
from treerings.hookspecs import hookimpl
from treerings.memory import MemoryStore
from treerings.plain import dump_json, dump_step
from treerings.records import Step, Totals, Workflow
from treerings.store import Filter

try:
    import fcntl
except ImportError:  # Windows: one process at a time
    fcntl = None  # type: ignore[assignment]  # the one way to say that there is none

if TYPE_CHECKING:
    from treerings.registry import StoreFactory

__all__ = ["JsonlStore"]

logger = logging.getLogger("treerings")


@hookimpl
def register_stores(register: Callable[[str, StoreFactory], None]) -> None:
    register("jsonl", JsonlStore)


class JsonlStore:
    """Steps in a JSON Lines file; see `treerings.store.Store` for what the methods promise."""

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        if scheme != "jsonl" or not rest.strip("/"):
            raise StoreError(
                f"{url!r} is no JSON Lines URL. Type jsonl:///runs.jsonl or jsonl:////absolute/runs.jsonl."
            )
        path = Path(rest.removeprefix("/")).expanduser().absolute()
        self.path = path if path.suffix and not path.is_dir() else path / "steps.jsonl"
        self.url = f"jsonl:///{self.path}"
        self._reading = threading.Lock()
        self._read = MemoryStore()
        self._offset = 0
        """How far the file has been read."""
        self._file_id: int | None = None
        """Which file that was: a deletion puts another one in its place."""
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, steps: Sequence[Step]) -> None:
        lines = b"".join(map(_line, steps))
        with self._explained(), self._appending() as file:
            end = file.seek(0, os.SEEK_END)
            if end and file.seek(end - 1) is not None and file.read(1) != b"\n":
                lines = b"\n" + lines  # a process died in the middle of its last line
            try:
                if file.write(lines) != len(lines):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)  # all or nothing
                raise

    def workflow(self, id: str) -> Workflow | None:
        return self._current().workflow(id)

    def workflows(self, filter: Filter | None = None) -> list[Workflow]:
        return self._current().workflows(filter)

    def totals(self, by: Sequence[str] = (), filter: Filter | None = None) -> list[Totals]:
        return self._current().totals(by, filter)

    def changes(self, cursor: int | None = None, *, limit: int = 1000) -> tuple[int, list[Step]]:
        return self._current().changes(cursor, limit=limit)

    def delete(self, filter: Filter) -> int:
        """Write what stays to a new file and put it in the place of the old one."""
        fresh = self.path.with_name(f"{self.path.name}.new")
        with self._reading, self._explained(), self._appending():
            with self.path.open("rb") as file:
                self._take_in(file)
            self._file_id = None  # whatever happens now, look at the file again
            gone = self._read.delete(filter)
            with fresh.open("wb") as file:
                file.writelines(map(_line, self._read.changes(0, limit=sys.maxsize)[1]))
                file.flush()
                os.fsync(file.fileno())
                self._offset, file_id = file.tell(), os.fstat(file.fileno()).st_ino
            fresh.replace(self.path)
            self._file_id = file_id
        return gone

    def close(self) -> None:
        """Does nothing: no file stays open between two calls."""

    def _current(self) -> MemoryStore:
        """Everything that is in the file by now."""
        with self._reading, self._explained(), contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            _lock(file, "LOCK_SH")  # a batch is seen whole
            self._take_in(file)
        return self._read

    def _take_in(self, file: BufferedReader) -> None:
        """Read on from where the last look ended."""
        from treerings.schema import load_step  # pydantic: not before there is something to read

        state = os.fstat(file.fileno())
        if state.st_ino != self._file_id or state.st_size < self._offset:
            self._read.delete(Filter())
            self._offset, self._file_id = 0, state.st_ino
        file.seek(self._offset)
        steps = []
        for line in file:
            if not line.endswith(b"\n"):
                break  # torn: the next batch ends it
            self._offset += len(line)
            try:
                steps.append(load_step(orjson.loads(line)))
            except (orjson.JSONDecodeError, InvalidEvent) as error:
                logger.warning("%s: a line was skipped: %s", self.path, error)
        self._read.write(steps)

    @contextlib.contextmanager
    def _appending(self) -> Iterator[FileIO]:
        """The file, opened for appending, while no other process writes to it or replaces it."""
        while True:
            with self.path.open("ab+", buffering=0) as file:
                _lock(file, "LOCK_EX")
                if os.fstat(file.fileno()).st_ino == self.path.stat().st_ino:
                    yield file
                    return

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self.url}: {error.strerror or error}.") from error


def _line(step: Step) -> bytes:
    return dump_json(dump_step(step)) + b"\n"


def _lock(file: IOBase, kind: str) -> None:
    """Wait for a lock on the file, which closing it gives back."""
    if fcntl is not None:
        fcntl.flock(file.fileno(), getattr(fcntl, kind))
