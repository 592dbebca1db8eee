"""What CrewAI has open: executions, and in each of them the scopes by the id of the event that opened them."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple, TypeAlias

from treerings import Recorder
from treerings.context import OpenStep

__all__ = ["Asked", "Execution", "Key", "Scope", "Scopes"]

Key: TypeAlias = tuple[Hashable, ...]
"""What names a scope in CrewAI's domain, such as `("task", task id)`: starts and ends both tell it."""


class Scope:
    """One thing that CrewAI opened with an event."""

    __slots__ = (
        "agent",
        "args",
        "at_ns",
        "calls",
        "collapsed",
        "ended",
        "ended_ns",
        "event_id",
        "execution",
        "has_usage",
        "key",
        "step",
        "told",
        "type",
    )

    def __init__(self, event_id: str, execution: Execution, step: OpenStep) -> None:
        self.event_id = event_id
        self.execution = execution
        self.step = step
        """Its step; the one around it when the scope is collapsed."""
        self.type = ""
        self.key: Key | None = None
        self.agent: Key | None = None
        """The agent that it works for."""
        self.args: Any = None
        """A tool's arguments: they tell equal keys apart."""
        self.at_ns = 0
        self.calls = 0
        """Model calls of an agent that were told."""
        self.told = False
        """Whether its start was told; before, something inside it was seen."""
        self.ended = False
        self.ended_ns = 0
        self.collapsed = False
        self.has_usage = False

    def open_at(self, time_ns: int) -> bool:
        """Whether it was open then; what we are told comes in any order."""
        return self.at_ns <= time_ns and (not self.ended or self.ended_ns >= time_ns)


class Asked(NamedTuple):
    """A tool that a model call asked for."""

    name: str
    arguments: Any
    id: str | None
    step_id: str


class Execution:
    """One outermost run of a crew, flow or agent, and what runs inside; without an id, one call outside of all."""

    def __init__(self, uuid: str | None) -> None:
        self.uuid = uuid
        self.root: Scope | None = None
        self.scopes: dict[str, Scope] = {}
        self.open: dict[Key, list[Scope]] = {}
        self.crews: dict[str, Scope] = {}
        """The crew that has a task, by the task's id."""
        self.attempts: dict[Key, list[Scope]] = {}
        """Every scope of each task, and of each agent at work on one: CrewAI tries anew after a failure."""
        self.asked: dict[Key | None, list[Asked]] = {}
        """What each agent's model calls asked for and no tool was told for yet."""
        self.unlinked: dict[Key | None, list[Scope]] = {}
        """Tools of each agent whose model call was not told yet."""
        self.state: weakref.ref[Any] | None = None
        """CrewAI's own state of this run: once it is gone, nobody is left to tell anything."""
        self.last_ns = 0
        self.recorder: Recorder | None = None

    def writer(self, current: Recorder) -> Recorder:
        """Who records this run: the recorder that it began with, until that is closed."""
        if self.recorder is None or self.recorder._closed:
            self.recorder = current
        return self.recorder

    @property
    def lost(self) -> bool:
        """Whether nobody is left who could tell of this run."""
        return self.state is not None and self.state() is None

    def opened(self) -> Iterator[Scope]:
        """Scopes that were told and not ended, the innermost first."""
        return (scope for scope in reversed(list(self.scopes.values())) if scope.told and not scope.ended)


class Scopes:
    """All executions of the process, bounded; `lock` guards them.

    At most `max_open` executions are kept, the oldest forgotten; `max_ended` of those whose root ended, for what comes
    late; of the ones before them the root, `max_roots` times; `max_dead` ids of events
    that nobody will tell. An execution keeps `max_scopes` scopes, ended ones go first.
    """

    def __init__(
        self,
        *,
        max_open: int = 1_000,
        max_ended: int = 50,
        max_roots: int = 2_000,
        max_scopes: int = 5_000,
        max_dead: int = 10_000,
    ) -> None:
        self.lock = threading.RLock()
        self.by_event: dict[str, Scope] = {}
        self.calls: dict[str, Scope] = {}
        """Model calls by CrewAI's id of the call."""
        self.expected: dict[str, Scope] = {}
        """Those of which only what is inside was told."""
        self.dead: OrderedDict[str, None] = OrderedDict()
        """Events whose start will never be told, left on CrewAI's stack."""
        self._by_uuid: dict[str, Execution] = {}
        self._open: OrderedDict[Execution, None] = OrderedDict()
        self._ended: OrderedDict[Execution, None] = OrderedDict()
        self._roots: OrderedDict[str, OpenStep] = OrderedDict()
        self._max_open = max_open
        self._max_ended = max_ended
        self._max_roots = max_roots
        self._max_scopes = max_scopes
        self._max_dead = max_dead

    def __len__(self) -> int:
        """How many scopes are kept."""
        return len(self.by_event)

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            for table in (
                self.by_event,
                self.calls,
                self.expected,
                self.dead,
                self._by_uuid,
                self._open,
                self._ended,
                self._roots,
            ):
                table.clear()

    def executions(self) -> list[Execution]:
        """Those whose root has not ended."""
        with self.lock:
            return list(self._open)

    def execution(self, uuid: str) -> Execution | None:
        """The execution with this id; one that was forgotten comes back with nothing but its root."""
        found = self._by_uuid.get(uuid)
        if found is None and (step := self._roots.get(uuid)) is not None:
            found = self.new(uuid)
            found.root = root = Scope("", found, step)
            root.told = root.ended = True
            self.over(found)
        return found

    def new(self, uuid: str | None) -> Execution:
        """A new execution; it needs a root."""
        execution = Execution(uuid)
        self._open[execution] = None
        if uuid is not None:
            self._by_uuid[uuid] = execution
        if len(self._open) > self._max_open:
            self._forget(self._open.popitem(last=False)[0])
        return execution

    def add(self, scope: Scope) -> None:
        """Keep a scope under its event's id."""
        execution = scope.execution
        execution.scopes[scope.event_id] = self.by_event[scope.event_id] = scope
        if len(execution.scopes) > self._max_scopes:
            self._shrink(execution)

    def open(self, scope: Scope, key: Key | None) -> None:
        """The scope's start was told, with this key."""
        scope.key = key
        scope.told = True
        self.expected.pop(scope.event_id, None)
        if key is not None:
            scope.execution.open.setdefault(key, []).append(scope)
            if key[0] == "llm":
                self.calls[str(key[1])] = scope

    def close(self, scope: Scope, time_ns: int = 0) -> None:
        """The scope ended then."""
        scope.ended = True
        scope.ended_ns = time_ns
        execution = scope.execution
        same = execution.open.get(scope.key) if scope.key is not None else None
        if same is not None and scope in same:
            same.remove(scope)
            if not same and scope.key is not None:
                del execution.open[scope.key]
        if execution.root is scope:
            self.over(execution)

    def over(self, execution: Execution) -> None:
        """The execution's root ended: keep it a while for what comes late."""
        if self._open.pop(execution, 0) is None:
            self._ended[execution] = None
            if len(self._ended) > self._max_ended:
                self._forget(self._ended.popitem(last=False)[0])

    def bury(self, event_id: str) -> None:
        """Nobody will tell this start any more."""
        self.dead[event_id] = None
        if len(self.dead) > self._max_dead:
            self.dead.popitem(last=False)

    def _forget(self, execution: Execution) -> None:
        for scope in execution.scopes.values():
            self._drop(scope)
        if execution.uuid is not None:
            self._by_uuid.pop(execution.uuid, None)
            if execution.root is not None:
                self._roots[execution.uuid] = execution.root.step
                if len(self._roots) > self._max_roots:
                    self._roots.popitem(last=False)

    def _shrink(self, execution: Execution) -> None:
        """Let go of a tenth of the scopes: of those that ended, else of the oldest."""
        wanted = self._max_scopes // 10 + 1
        oldest = [scope for scope in execution.scopes.values() if scope is not execution.root]
        going = [scope for scope in oldest if scope.ended][:wanted] or oldest[:wanted]
        for scope in going:
            del execution.scopes[scope.event_id]
            self._drop(scope)
            if not scope.ended and scope.key in execution.open:
                self.close(scope)
        while len(execution.attempts) > self._max_scopes:
            del execution.attempts[next(iter(execution.attempts))]
        for table in (execution.asked, execution.unlinked):
            while len(table) > self._max_scopes:
                table.pop(next(iter(table)))

    def _drop(self, scope: Scope) -> None:
        self.by_event.pop(scope.event_id, None)
        self.expected.pop(scope.event_id, None)
        if not scope.ended:
            self.bury(scope.event_id)
        if scope.key is not None and scope.key[0] == "llm":
            self.calls.pop(str(scope.key[1]), None)
