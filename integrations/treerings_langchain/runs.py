"""The LangChain runs that are known: what end and error callbacks do not repeat, kept from the start."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from treerings.context import OpenStep

if TYPE_CHECKING:
    from treerings import Recorder

__all__ = ["Run", "Runs"]


class Run:
    """One run, open or recently ended."""

    agent_name: str | None = None
    """`lc_agent_name` of the metadata, inherited by everything below an agent."""
    checkpoint_ns: str | None = None
    thread_id: str | None = None
    is_node = is_graph = is_agent = False
    is_chat = False
    hidden = False
    interrupted = False
    first_token = False
    streamed = False
    """Whether any chunk came, be it an empty one."""
    chunk_counts: tuple[int, int, dict[str, Any]] | None = None
    """How many chunks of a stream told how many input tokens, always the same number, and the last one's counts."""
    watched: Watched | None = None
    ended_s: float | None = None
    closes_early = False
    """Whether the run was started by a stream method: if it ends before a model call below, nobody read on."""
    open_calls = 0
    """Model calls that run below; counted at the root."""
    node_names: set[str] | None = None
    attempts: dict[str, int] | None = None
    """How many runs each task of this graph had, by checkpoint namespace."""
    tool_calls: dict[str, str] | None = None
    """The model call of this graph or agent that asked for each tool call, by tool-call id."""
    all_tool_calls: dict[str, str] | None = None
    """Those of the whole workflow, of which weak providers give one id several times; kept at the root."""
    integration: str | None = None
    """`ls_integration` of the metadata, inherited by everything below an agent."""
    seen: set[int] | None = None
    """Messages and items that a payload of this workflow holds; kept at the root."""
    prompted: set[int] | None = None
    """Messages that a model call of this workflow was given, or gave; kept at the root."""
    shadowed: Run | None = None
    """An open run with the same id: somebody gave one `run_id` to two invocations."""

    def __init__(self, step: OpenStep, parent: Run | None, name: str, told: object) -> None:
        self.step = step
        self.parent = parent
        """The run around this one, where both are LangChain's and in one workflow."""
        self.root: Run = parent.root if parent is not None else self
        self.name = name
        self.told: object = told
        """The metadata that the start was told with: one object for all handlers of a run, and for no other run."""
        self.started_s = time.monotonic()


class Watched(NamedTuple):
    """A run at the root that was started in a task. Cancelled, it ends without a word: the task's end has to tell."""

    run_id: UUID
    run: Run
    recorder: Recorder
    task: weakref.ref[asyncio.Task[Any]]


_root: ContextVar[Run | None] = ContextVar("treerings_langchain_root", default=None)
"""The root that was started last in this context: tells concurrent roots apart that were given one `run_id`."""


class Runs:
    """Runs by id, shared by every handler of the process, so that two handlers see one run once.

    At most `max_open` open runs are kept (the oldest are forgotten: their end is then recorded as a step of its own), and
    the latest `max_ended` ended ones, for late children and repeated deliveries. A run that is still open `keep_s` seconds
    after its root ended is forgotten, and so is an open run older than `idle_s`; looked at when a root starts.
    Operations are single dictionary operations, safe under the interpreter lock.
    """

    def __init__(
        self, *, max_open: int = 50_000, max_ended: int = 5_000, keep_s: float = 60.0, idle_s: float = 86_400.0
    ) -> None:
        self._open: dict[int, Run] = {}
        self._ended: OrderedDict[int, Run] = OrderedDict()
        self._nodes: dict[str, Run] = {}
        self._threads: OrderedDict[str, tuple[str, bool, dict[str, str]]] = OrderedDict()
        self._max_open = max_open
        self._max_ended = max_ended
        self._keep_s = keep_s
        self._idle_s = idle_s
        self._tidied_s = 0.0
        self._watched: dict[Run, Watched] = {}
        self.ambient: Callable[[], OpenStep | None] = lambda: None
        """What was registered with `add_ambient` for these runs."""

    def __len__(self) -> int:
        """How many runs are open."""
        return len(self._open)

    def open(self, run_id: UUID) -> Run | None:
        run = self._open.get(run_id.int)
        return run if run is None or run.shadowed is None else _of_this_context(run)

    def known(self, run_id: UUID | None) -> Run | None:
        """The run with this id, open or lately ended."""
        if run_id is None:
            return None
        return self.open(run_id) or self._ended.get(run_id.int)

    def repeated(self, run_id: UUID, told: object) -> bool:
        """Whether this start was told before: a run with the same id is open and was told with the same object."""
        run = self._open.get(run_id.int)
        while run is not None:
            if run.told is told:
                return True
            run = run.shadowed
        return False

    def add(self, run_id: UUID, run: Run) -> None:
        key = run_id.int
        if run.parent is None:
            _root.set(run)
            if run.started_s - self._tidied_s > 5.0:
                self.tidy(run.started_s)
        run.shadowed = self._open.pop(key, None)
        self._open[key] = run
        if run.is_node and run.checkpoint_ns:
            self._nodes[run.checkpoint_ns] = run
        if len(self._open) > self._max_open:
            self._forget_oldest()

    def end(self, run_id: UUID) -> Run | None:
        """Take the run out of the open ones; None when it is not open."""
        key = run_id.int
        run = self._open.pop(key, None)
        if run is None:
            return None
        if run.shadowed is not None:
            run = self._take_shadowed(key, run)
        run.ended_s = time.monotonic()
        run.told = None
        if run.watched is not None:
            self._watched.pop(run, None)
            run.watched = None
        self._ended[key] = run
        if len(self._ended) > self._max_ended:
            self._pop_oldest(self._ended)
        if run.is_node and run.checkpoint_ns and self._nodes.get(run.checkpoint_ns) is run:
            del self._nodes[run.checkpoint_ns]
        return run

    def watch(self, recorder: Recorder, run_id: UUID, run: Run) -> None:
        """Look out for the end of the task that started this run, by a weak reference; without a task do nothing."""
        if asyncio._get_running_loop() is None:  # asked without the exception that the public function raises
            return
        task = asyncio.current_task()
        if task is not None:
            run.watched = Watched(run_id, run, recorder, weakref.ref(task))
            self._watched[run] = run.watched

    def abandoned(self, recorder: Recorder) -> list[Watched]:
        """The runs whose task is over though they are open. A stream may go on in another task: it ends by itself."""
        found = []
        for watched in list(self._watched.values()):
            task = watched.task()
            if watched.recorder is recorder and not watched.run.streamed and (task is None or task.done()):
                found.append(watched)
        return found

    def _take_shadowed(self, key: int, newest: Run) -> Run:
        """Of several open runs with one id, take out the one that ends in this context; the others stay open."""
        run = _of_this_context(newest)
        if run is newest:
            rest = newest.shadowed
        else:
            rest = item = newest
            while item.shadowed is not None and item.shadowed is not run:
                item = item.shadowed
            item.shadowed = run.shadowed
        run.shadowed = None
        if rest is not None:
            self._open[key] = rest
        return run

    def node(self, checkpoint_ns: str | None) -> Run | None:
        """The open graph node that works on this task."""
        return self._nodes.get(checkpoint_ns) if checkpoint_ns else None

    def remember_thread(self, run: Run) -> None:
        """Keep how a thread's latest run ended, and its tool calls, for a resume; the latest 1,000 threads."""
        if run.thread_id is None:
            return
        self._threads[run.thread_id] = (run.step.workflow_id, run.interrupted, run.all_tool_calls or {})
        self._threads.move_to_end(run.thread_id)
        if len(self._threads) > 1_000:
            self._pop_oldest(self._threads)

    def thread(self, thread_id: str | None) -> tuple[str, bool, dict[str, str]] | None:
        """The workflow id of the thread's latest run, whether it was interrupted, and its tool calls."""
        return self._threads.get(thread_id) if thread_id else None

    def tidy(self, now_s: float) -> None:
        """Forget what nobody will end; `now_s` is monotonic."""
        self._tidied_s = now_s
        for key, run in list(self._open.items()):
            if self._abandoned(run, now_s):
                self._open.pop(key, None)
        for ns, run in list(self._nodes.items()):
            if self._abandoned(run, now_s):
                self._nodes.pop(ns, None)

    def clear(self) -> None:
        """Forget everything: what ends from here on was never seen."""
        self._open.clear()
        self._ended.clear()
        self._nodes.clear()
        self._threads.clear()
        self._watched.clear()

    def _abandoned(self, run: Run, now_s: float) -> bool:
        ended_s = run.root.ended_s
        if ended_s is not None:
            return now_s - ended_s > self._keep_s
        return now_s - run.started_s > self._idle_s

    def _forget_oldest(self) -> None:
        for key in list(islice(self._open, max(0, len(self._open) - self._max_open))):
            self._open.pop(key, None)

    @staticmethod
    def _pop_oldest(table: OrderedDict[Any, Any]) -> None:
        try:
            table.popitem(last=False)
        except KeyError:  # another thread was quicker
            return


def _of_this_context(newest: Run) -> Run:
    """Of open runs with one id the one that was started in this context, else the newest."""
    here = _root.get()
    run: Run | None = newest
    while run is not None:
        if run is here:
            return run
        run = run.shadowed
    return newest
