"""Where something belongs: its execution, and its parent in there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from treerings import Kind, Recorder
from treerings.context import OpenStep, innermost

from .scopes import Execution, Scope, Scopes
from .starts import Start

__all__ = ["SOURCE", "Places", "Told", "inside", "last"]

SOURCE = "crewai"


@dataclass(slots=True)
class Told:
    """What every event says of its place."""

    event_id: str
    parent_id: str | None
    started_id: str | None
    type: str
    time_ns: int
    uuid: str | None
    """The execution's id, from the context of whoever told."""
    state: Any = None
    """A weak reference to CrewAI's state of the run."""


class Places:
    """Finds executions and parents; used while the lock of the scopes is held.

    CrewAI's ids of parent and start are right until a model call fails: its provider tells that twice, and every id
    after that is taken from the wrong place of a stack. So they count only where they fit what the events say of
    agents, tasks, tools and calls.
    """

    def __init__(self, scopes: Scopes) -> None:
        self.scopes = scopes

    def execution_of(self, recorder: Recorder, told: Told, said: Start | None, around: OpenStep | None) -> Execution:
        """The execution of what is told; a new one gets a root, told with this or expected."""
        scopes = self.scopes
        if told.uuid is not None:
            execution = scopes.execution(told.uuid)
        else:
            parent = scopes.by_event.get(told.parent_id or "")
            fits = parent is not None and not parent.ended and parent.execution.uuid is None
            # a call directly inside a call was left on the stack by one that was interrupted
            if fits and parent is not None and parent.type == "llm_call_started" == told.type:
                fits = False
            execution = parent.execution if fits and parent is not None else None
        if execution is None:
            execution = scopes.new(told.uuid)
            nested = self._nesting(told)
            if nested is not None and said is not None and said.collapsed:  # a memory works with flows of its own
                execution.root = Scope(told.event_id, execution, nested.step)
                execution.root.collapsed = True
                scopes.add(execution.root)
                return execution
            if nested is not None:
                around = innermost(nested.step, around)
            is_root = told.uuid is None or (said is not None and said.begins)
            kind, name = (said.kind, said.name) if said is not None and is_root else (Kind.WORKFLOW, "crewai")
            step = recorder.expect(kind, name, source=SOURCE, parent=around)
            execution.root = Scope(told.event_id if is_root else "", execution, step)
            execution.root.at_ns = told.time_ns
            if is_root:
                scopes.add(execution.root)
        if execution.state is None:
            execution.state = told.state
        return execution

    def _nesting(self, told: Told) -> Scope | None:
        """The open scope outside of every execution that this execution is inside of.

        Not a model call: it runs nothing but functions, so that an execution there was left by an interrupt.
        """
        scope = self.scopes.by_event.get(told.parent_id or "")
        if scope is None or scope.execution.uuid is not None or scope.type == "llm_call_started":
            return None
        return scope if scope.open_at(told.time_ns) else None

    def is_root(self, execution: Execution, told: Told) -> bool:
        """Whether this start is that of the root, which was expected since something inside was told first."""
        root = execution.root
        return root is not None and not root.told and (told.parent_id or "") not in execution.scopes

    def parent(self, recorder: Recorder, execution: Execution, told: Told, said: Start) -> OpenStep | None:
        """The parent within the execution: by CrewAI's id if that fits, else by agent and task, else the root."""
        given = self._given(recorder, execution, told)
        meant = self._meant(execution, told, said)
        root = execution.root
        if meant is None or given is meant:
            chosen = given or root
        elif given is None or (given.told and not given.open_at(told.time_ns)) or inside(meant.step, given.step):
            chosen = meant
        else:
            chosen = given
        return chosen.step if chosen is not None else None

    def _given(self, recorder: Recorder, execution: Execution, told: Told) -> Scope | None:
        """The scope with CrewAI's id of the parent; one that nobody told yet is expected under the root."""
        if told.parent_id is None or told.parent_id in self.scopes.dead:
            return None
        scope = self.scopes.by_event.get(told.parent_id)
        if scope is None:
            return self.expect(recorder, execution, told.parent_id, told.time_ns)
        return scope if scope.execution is execution else None

    def expect(
        self, recorder: Recorder, execution: Execution, event_id: str, time_ns: int, inside: str | None = None
    ) -> Scope | None:
        root = execution.root
        if root is None:
            return None
        above = self.scopes.by_event.get(inside or "")
        if above is None or above.execution is not execution:
            above = root
        scope = Scope(event_id, execution, recorder.expect(Kind.NODE, "crewai", source=SOURCE, parent=above.step))
        scope.at_ns = time_ns
        self.scopes.add(scope)
        self.scopes.expected[event_id] = scope
        return scope

    def _meant(self, execution: Execution, told: Told, said: Start) -> Scope | None:
        """The scope that was open for the event's agent and task."""
        if said.kind is Kind.TASK:
            crew = execution.crews.get(said.task_id or "")
            return crew if crew is not None and crew.open_at(told.time_ns) else None
        found = None
        if said.kind is not Kind.AGENT and said.agent is not None:
            found = _open_at(execution.attempts.get(said.agent), told.time_ns)
        if found is None and said.task_id is not None:
            found = _open_at(execution.attempts.get(("task", said.task_id)), told.time_ns)
        if found is None and said.kind is Kind.AGENT and said.key is not None and said.key[2] is not None:
            # a coworker that tries again: its task was never told, but its first attempt has the right place
            before = execution.attempts.get(said.key)
            place = before[-1].step.parent if before else None
            found = next((s for s in execution.opened() if s.step is place and not s.collapsed), None)
        return found

    def leaked(self, told: Told, said: Start) -> list[Execution]:
        """The execution that left this parent on the stack: a new one begins here, so it is over without a word."""
        parent = self.scopes.by_event.get(told.parent_id or "") if said.begins else None
        if parent is None or told.uuid is None or parent.execution.uuid in (None, told.uuid):
            return []
        root = parent.execution.root
        if parent.type == "flow_started" or root is None or root.ended:
            return []
        return [parent.execution]


def _open_at(scopes: list[Scope] | None, time_ns: int) -> Scope | None:
    return next((scope for scope in reversed(scopes or ()) if scope.open_at(time_ns)), None)


def last(scopes: list[Scope] | None) -> Scope | None:
    return scopes[-1] if scopes else None


def inside(step: OpenStep, other: OpenStep) -> bool:
    """Whether `step` is below `other`, or it."""
    item: OpenStep | None = step
    while item is not None:
        if item is other:
            return True
        item = item.parent
    return False
