"""The LangChain runs that are known: what end and error callbacks do not repeat, kept from the start."""

from __future__ import annotations

import time
from collections import OrderedDict
from itertools import islice
from typing import Any
from uuid import UUID

from treerings.context import OpenStep

__all__ = ["Run", "Runs"]


class Run:
    """One run, open or recently ended."""

    agent_name: str | None = None
    """`lc_agent_name` of the metadata, inherited by everything below an agent."""
    checkpoint_ns: str | None = None
    thread_id: str | None = None
    is_node = is_graph = is_agent = False
    hidden = False
    interrupted = False
    first_token = False
    closes_early = False
    """Whether the run was started by a stream method: if it ends before a model call below, nobody read on."""
    open_calls = 0
    """Model calls that run below; counted at the root."""
    node_names: set[str] | None = None
    attempts: dict[str, int] | None = None
    """How many runs each task of this graph had, by checkpoint namespace."""
    tool_calls: dict[str, str] | None = None
    """The model call that asked for each tool call, by tool-call id."""
    seen_messages: set[str | int] | None = None
    """Messages that a payload of this workflow already holds; kept at the root."""
    shadowed: Run | None = None
    """An open run with the same id: somebody gave one `run_id` to two invocations."""

    def __init__(self, step: OpenStep, parent: Run | None, name: str, inputs_id: int) -> None:
        self.step = step
        self.parent = parent
        """The run around this one, where both are LangChain's and in one workflow."""
        self.root: Run = parent.root if parent is not None else self
        self.name = name
        self.inputs_id = inputs_id
        """The identity of the object that the start was told with: a repeated delivery has the same."""
        self.started_s = time.monotonic()


class Runs:
    """Runs by id, shared by every handler of the process, so that two handlers see one run once.

    At most `max_open` open runs are kept (the oldest are forgotten: their end is then recorded as a step of its own), and
    the latest `max_ended` ended ones, for late children and repeated deliveries. Runs left open below a root that
    ended are forgotten after a minute. Operations are single dictionary operations, safe under the interpreter lock.
    """

    def __init__(self, *, max_open: int = 50_000, max_ended: int = 5_000) -> None:
        self._open: dict[int, Run] = {}
        self._ended: OrderedDict[int, Run] = OrderedDict()
        self._nodes: dict[str, Run] = {}
        self._threads: OrderedDict[str, tuple[str, bool, dict[str, str]]] = OrderedDict()
        self._max_open = max_open
        self._max_ended = max_ended
        self._opened = 0

    def __len__(self) -> int:
        """How many runs are open."""
        return len(self._open)

    def open(self, run_id: UUID) -> Run | None:
        return self._open.get(run_id.int)

    def known(self, run_id: UUID | None) -> Run | None:
        """The run with this id, open or lately ended."""
        if run_id is None:
            return None
        key = run_id.int
        return self._open.get(key) or self._ended.get(key)

    def repeated(self, run_id: UUID, inputs: object) -> bool:
        """Whether this start was told before: the same id is open and was told with the same object."""
        run = self._open.get(run_id.int)
        return run is not None and run.inputs_id == id(inputs)

    def add(self, run_id: UUID, run: Run) -> None:
        key = run_id.int
        run.shadowed = self._open.pop(key, None)
        self._open[key] = run
        if run.is_node and run.checkpoint_ns:
            self._nodes[run.checkpoint_ns] = run
        self._opened += 1
        if self._opened % 1_000 == 0 or len(self._open) > self._max_open:
            self._tidy()

    def end(self, run_id: UUID) -> Run | None:
        """Take the run out of the open ones; None when it is not open."""
        key = run_id.int
        run = self._open.pop(key, None)
        if run is None:
            return None
        if run.shadowed is not None:
            self._open[key] = run.shadowed
            run.shadowed = None
        self._ended[key] = run
        if len(self._ended) > self._max_ended:
            self._pop_oldest(self._ended)
        if run.is_node and run.checkpoint_ns and self._nodes.get(run.checkpoint_ns) is run:
            del self._nodes[run.checkpoint_ns]
        return run

    def node(self, checkpoint_ns: str | None) -> Run | None:
        """The open graph node that works on this task."""
        return self._nodes.get(checkpoint_ns) if checkpoint_ns else None

    def remember_thread(self, run: Run) -> None:
        """Keep how a thread's latest run ended, and its tool calls, for a resume; the latest 1,000 threads."""
        if run.thread_id is None:
            return
        self._threads[run.thread_id] = (run.step.workflow_id, run.interrupted, run.tool_calls or {})
        self._threads.move_to_end(run.thread_id)
        if len(self._threads) > 1_000:
            self._pop_oldest(self._threads)

    def thread(self, thread_id: str | None) -> tuple[str, bool, dict[str, str]] | None:
        """The workflow id of the thread's latest run, whether it was interrupted, and its tool calls."""
        return self._threads.get(thread_id) if thread_id else None

    @staticmethod
    def _pop_oldest(table: OrderedDict[Any, Any]) -> None:
        try:
            table.popitem(last=False)
        except KeyError:  # another thread was quicker
            return

    def _tidy(self) -> None:
        """Forget what nobody will end: runs below roots that ended a while ago, then the oldest."""
        now = time.monotonic()
        for key, run in list(self._open.items()):
            if run.root.step.ended and run.root is not run and now - run.root.started_s > 60:
                self._open.pop(key, None)
        for key in list(islice(self._open, max(0, len(self._open) - self._max_open))):
            self._open.pop(key, None)
        for ns, run in list(self._nodes.items()):
            if run.root.step.ended and now - run.root.started_s > 60:
                self._nodes.pop(ns, None)
