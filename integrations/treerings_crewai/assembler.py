"""Starts and ends into steps: which execution they belong to, under which parent, and which start an end is of."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from treerings import Kind, Recorder, Status, runtime
from treerings.context import OpenStep, innermost, step_around

from .ends import End
from .scopes import Execution, Key, Scope, Scopes
from .starts import Start
from .toolcalls import link, remember_asked

__all__ = ["SOURCE", "Assembler", "Told"]

logger = logging.getLogger("treerings")

SOURCE = "crewai"
MAX_PENDING = 2_000


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


class Assembler:
    """Turns what is told, in any order and on any thread, into steps.

    CrewAI's ids of parent and start are right until a model call fails: its provider tells that twice, and every id
    after that is taken from the wrong place of a stack. So they count only where they fit what the events say of
    agents, tasks, tools and calls.
    """

    def __init__(self, scopes: Scopes) -> None:
        self.scopes = scopes
        self._pending: OrderedDict[tuple[str | None, Key], list[tuple[Told, End]]] = OrderedDict()
        """Ends that came before their start."""
        self._first_tokens: OrderedDict[str, int] = OrderedDict()
        """When the first chunk of a call came whose start was not told yet."""
        self._streaming: OrderedDict[str, None] = OrderedDict()
        self._silent: set[str] = set()
        self.lookup: Callable[[], OpenStep | None] = lambda: None
        """What was registered with `add_ambient` for these scopes."""
        self.catch_up: Callable[[], bool] = lambda: False
        """Waits a moment until what was emitted is told; whether it is."""

    def clear(self) -> None:
        """Forget everything."""
        with self.scopes.lock:
            self.scopes.clear()
            for table in (self._pending, self._first_tokens, self._streaming, self._silent):
                table.clear()

    # -- starts ---------------------------------------------------------------------------------------------------

    def started(self, recorder: Recorder, told: Told, said: Start) -> None:
        """Something began."""
        around = step_around(self.lookup)
        with self.scopes.lock:
            scope = self.scopes.by_event.get(told.event_id)
            if scope is not None and scope.told:
                return
            lost = self._leaked(told, said)
            execution = scope.execution if scope is not None else self._execution_of(recorder, told, said, around)
            stand_in: Scope | None = None
            if said.begins and scope is not execution.root and self._is_root(execution, told):
                stand_in, scope = scope, execution.root
            parent: OpenStep | None
            if scope is None and execution.root is not None and execution.root.event_id == told.event_id:
                scope = execution.root
            if scope is not None and scope is execution.root:
                parent = scope.step.parent
                if scope.event_id != told.event_id:
                    scope.event_id = told.event_id
                    self.scopes.add(scope)
            else:
                parent = innermost(self._parent(recorder, execution, told, said), around)
            if said.collapsed and scope is None and parent is not None:
                scope = Scope(told.event_id, execution, parent)
                scope.collapsed = True
                self.scopes.add(scope)
            elif scope is None:
                scope = Scope(
                    told.event_id, execution, recorder.expect(said.kind, said.name, source=SOURCE, parent=parent)
                )
                self.scopes.add(scope)
            elif parent is not None and _inside(parent, scope.step):
                parent = scope.step.parent
            self._opened(scope, told, said)
            ends = self._waiting(scope, told, said)
            first_ns = self._first_tokens.pop(str(said.key[1]), None) if said.key and said.kind is Kind.LLM else None
        for dead in lost:
            self._abandon(recorder, dead)
        if stand_in is not None:  # things inside were told first and hang below it
            self._show(recorder, stand_in)
        if not scope.collapsed:
            attributes = said.attributes
            if said.collapsed:  # its children came first and hang below it
                attributes = {**attributes, "hidden": True}
            recorder.start(
                said.kind,
                said.name,
                source=SOURCE,
                parent=parent,
                input=said.input,
                model=said.model,
                provider=said.provider,
                attributes=attributes or None,
                expected=scope.step,
                time_ns=told.time_ns,
            )
            if first_ns is not None:
                recorder.update(scope.step, first_token_ns=first_ns)
        for end_told, end in ends:
            self._end(recorder, scope, end_told, end)

    def _execution_of(self, recorder: Recorder, told: Told, said: Start | None, around: OpenStep | None) -> Execution:
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

    def _is_root(self, execution: Execution, told: Told) -> bool:
        """Whether this start is that of the root, which was expected since something inside was told first."""
        root = execution.root
        return root is not None and not root.told and (told.parent_id or "") not in execution.scopes

    def _opened(self, scope: Scope, told: Told, said: Start) -> None:
        execution = scope.execution
        scope.type = told.type
        scope.at_ns = told.time_ns
        scope.args = said.args
        scope.agent = said.agent
        execution.last_ns = max(execution.last_ns, told.time_ns)
        self.scopes.open(scope, said.key)
        for task_id in said.tasks:
            execution.crews[task_id] = scope
        if said.kind in (Kind.AGENT, Kind.TASK) and said.key is not None:
            attempts = execution.attempts.setdefault(said.key, [])
            if attempts and said.kind is Kind.AGENT:
                said.attributes["attempt"] = len(attempts) + 1
            attempts.append(scope)
            del attempts[:-100]
        elif said.kind is Kind.LLM and said.agent is not None:
            for agent in execution.open.get(said.agent, ()):
                agent.calls += 1
        elif said.kind in (Kind.TOOL, Kind.HANDOFF):
            said.attributes.update(link(scope))

    # -- parents --------------------------------------------------------------------------------------------------

    def _parent(self, recorder: Recorder, execution: Execution, told: Told, said: Start) -> OpenStep | None:
        """The parent within the execution: by CrewAI's id if that fits, else by agent and task, else the root."""
        given = self._given(recorder, execution, told)
        meant = self._meant(execution, told, said)
        root = execution.root
        if meant is None or given is meant:
            chosen = given or root
        elif given is None or (given.told and not given.open_at(told.time_ns)) or _inside(meant.step, given.step):
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
            return self._expect(recorder, execution, told.parent_id, told.time_ns)
        return scope if scope.execution is execution else None

    def _expect(
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

    def _leaked(self, told: Told, said: Start) -> list[Execution]:
        """The execution that left this parent on the stack: a new one begins here, so it is over without a word."""
        parent = self.scopes.by_event.get(told.parent_id or "") if said.begins else None
        if parent is None or told.uuid is None or parent.execution.uuid in (None, told.uuid):
            return []
        root = parent.execution.root
        if parent.type == "flow_started" or root is None or root.ended:
            return []
        return [parent.execution]

    # -- ends -----------------------------------------------------------------------------------------------------

    def ended(self, recorder: Recorder, told: Told, end: End) -> None:
        """Something ended; the first end of a step counts."""
        with self.scopes.lock:
            scope = self._started_of(told, end)
            if scope is None and end.key is not None:
                self._pending.setdefault((told.uuid, end.key), []).append((told, end))
                if len(self._pending) > MAX_PENDING or len(self._pending[told.uuid, end.key]) > 100:
                    self._pending.popitem(last=False)
        if scope is not None:
            self._end(recorder, scope, told, end)

    def _end(self, recorder: Recorder, scope: Scope, told: Told, end: End) -> None:
        linked: list[tuple[Scope, dict[str, Any]]] = []
        with self.scopes.lock:
            again = scope.ended
            if not again:
                self.scopes.close(scope, told.time_ns)
                scope.execution.last_ns = max(scope.execution.last_ns, told.time_ns)
            adds = end.usage is not None and not scope.has_usage
            scope.has_usage = scope.has_usage or end.usage is not None
            if scope.key is not None and scope.key[0] == "llm":
                self._streaming.pop(str(scope.key[1]), None)
                linked = remember_asked(scope, end)
        for tool, added in linked:
            recorder.update(tool.step, attributes=added)
        if scope.collapsed:
            return
        if again:
            if adds:  # a call that failed after its answer is told once more, with what it used
                recorder.update(scope.step, usage=end.usage, attributes=end.attributes or None)
            return
        if end.silent_model is not None and not scope.calls:
            self._report_silent(end.silent_model)
            end.attributes["no_llm_data"] = end.silent_model
        if scope.step.ended:  # closed as abandoned, and told after all
            if adds:
                recorder.update(scope.step, usage=end.usage, attributes=end.attributes or None)
            return
        recorder.end(
            scope.step,
            status=end.status,
            output=end.output,
            usage=end.usage,
            error=end.error,
            attributes=end.attributes or None,
            time_ns=told.time_ns,
        )

    def _started_of(self, told: Told, end: End) -> Scope | None:
        """The scope that ends: the one CrewAI names if it has the same key, else the latest open one with the key."""
        named = self.scopes.by_event.get(told.started_id or "")
        if named is not None and named.told and named.key == end.key and (not named.ended or end.key is None):
            return named
        if end.key is None:
            return None
        if end.key[0] == "llm":
            return self.scopes.calls.get(str(end.key[1]))
        execution = self.scopes.execution(told.uuid) if told.uuid is not None else None
        if execution is None and named is not None:
            execution = named.execution
        if execution is None:
            parent = self.scopes.by_event.get(told.parent_id or "")
            execution = parent.execution if parent is not None else None
        same = [s for s in execution.open.get(end.key, ()) if s.at_ns <= told.time_ns] if execution is not None else []
        if end.args is not None:
            same = [scope for scope in same if scope.args == end.args] or same
        return _last(same)

    def _waiting(self, scope: Scope, told: Told, said: Start) -> list[tuple[Told, End]]:
        """The ends of this start that were told before it."""
        key = (told.uuid, said.key) if said.key is not None else None
        if key is None or key not in self._pending:
            return []
        all_of_key = self._pending.pop(key)
        mine = [item for item in all_of_key if item[0].time_ns >= told.time_ns]
        rest = [item for item in all_of_key if item[0].time_ns < told.time_ns]
        exact = [item for item in mine if item[0].started_id == told.event_id]
        taken = mine if said.kind is Kind.LLM else (exact or mine)[:1]
        rest += [item for item in mine if item not in taken]
        if rest:
            self._pending[key] = rest
        return taken

    def _report_silent(self, model: str) -> None:
        if model not in self._silent and len(self._silent) < 1_000:
            self._silent.add(model)
            logger.warning(
                "%s tells CrewAI nothing of its model calls: no tokens are known. Decorate it with treerings_crewai.record_llm.",
                model,
            )

    # -- more of open steps ---------------------------------------------------------------------------------------

    def chunk(self, recorder: Recorder, call_id: str) -> None:
        """A part of an answer came; the first counts. Called on the thread that reads the stream."""
        if call_id in self._streaming:
            return
        now_ns = recorder.clock.monotonic_ns()
        with self.scopes.lock:
            if call_id in self._streaming:
                return
            self._streaming[call_id] = None
            if len(self._streaming) > MAX_PENDING:
                self._streaming.popitem(last=False)
            scope = self.scopes.calls.get(call_id)
            if scope is None:
                self._first_tokens[call_id] = now_ns
                if len(self._first_tokens) > MAX_PENDING:
                    self._first_tokens.popitem(last=False)
                return
        recorder.update(scope.step, first_token_ns=now_ns)

    # -- what encloses the running code -----------------------------------------------------------------------------

    def ambient(self, event_id: str | None, inside: str | None, uuid: str | None) -> OpenStep | None:
        """The step of the scope that is open on this thread by CrewAI's word.

        Given are the top of its stack, what is below that, and the execution. The stack is ahead of what was told to us:
        a scope on top of it is open, and one that nobody told yet is going to be told.
        """
        scope = self.scopes.by_event.get(event_id) if event_id is not None else None
        if scope is not None and scope.execution.uuid == uuid:
            return scope.step.nearest_open()
        if uuid is None and (scope is not None or event_id is None or event_id in self.scopes.dead):
            return None
        recorder = runtime.current_recorder()
        if not recorder.enabled:
            return None
        if uuid is None and event_id is not None and self.catch_up():
            # outside of executions there is nothing to tell a call that began just now from what an interrupt left
            # on the stack before we listened: once all is told, what is unknown still is dead
            with self.scopes.lock:
                scope = self.scopes.by_event.get(event_id)
                if scope is None:
                    self.scopes.bury(event_id)
                    return None
            return scope.step.nearest_open()
        around = step_around(self.lookup)
        with self.scopes.lock:
            execution = self.scopes.execution(uuid) if uuid is not None else None
            if execution is None:
                if uuid is None:
                    known = self.scopes.by_event.get(event_id or "")
                    if known is not None:
                        return known.step.nearest_open()
                told = Told(event_id or "", inside, None, "", recorder.clock.time_ns(), uuid)
                execution = self._execution_of(recorder, told, None, around)
            root = execution.root
            if event_id is not None and scope is None and event_id not in self.scopes.dead:
                scope = self.scopes.by_event.get(event_id) or self._expect(
                    recorder, execution, event_id, recorder.clock.time_ns(), inside
                )
                return scope.step.nearest_open() if scope is not None else None
            return root.step.nearest_open() if root is not None else None

    # -- what nobody tells ----------------------------------------------------------------------------------------

    def tend(self, recorder: Recorder) -> None:
        """Close the executions that nobody is left to tell of: cancelled, or interrupted from the keyboard."""
        for execution in self.scopes.executions():
            if execution.lost:
                self._abandon(recorder, execution)

    def settle(self, recorder: Recorder, before_ns: int) -> None:
        """Everything told before then arrived: what is still expected since then will never be told."""
        for execution in self.scopes.executions():
            self._take_up(recorder, execution)
            with self.scopes.lock:
                untold = [s for s in execution.scopes.values() if not s.told and s.at_ns < before_ns]
                for scope in untold:
                    scope.told = True
                    if scope is not execution.root:
                        self.scopes.close(scope)
                    self.scopes.bury(scope.event_id)
            for scope in untold:
                self._show(recorder, scope)
        self.tend(recorder)

    def _take_up(self, recorder: Recorder, execution: Execution) -> None:
        """Say the root of a run that went on from a checkpoint: CrewAI does not tell again that it started."""
        with self.scopes.lock:
            root = execution.root
            if root is None or root.told:
                return
            keys = [key for key in self._pending if key[0] == execution.uuid]
            found = next((item for key in keys for item in self._pending[key] if item[1].begins), None)
        if found is not None:
            end = found[1]
            attributes = {"resumed": True}
            said = Start(Kind.WORKFLOW, end.name or "crewai", end.key, begins=True, attributes=attributes)
            place = Told(root.event_id or found[0].event_id, None, None, "", root.at_ns, execution.uuid)
            self.started(recorder, place, said)

    def _show(self, recorder: Recorder, scope: Scope) -> None:
        """Say a step of which only its children are known."""
        parent = scope.step.parent
        recorder.start(
            scope.step.kind,
            scope.step.name,
            source=SOURCE,
            parent=parent,
            attributes={"hidden": True},
            expected=scope.step,
            time_ns=scope.at_ns,
        )
        recorder.end(scope.step)

    def _abandon(self, recorder: Recorder, execution: Execution) -> None:
        with self.scopes.lock:
            left = list(execution.opened())
            for scope in left:
                self.scopes.close(scope, execution.last_ns)
            root = execution.root
            if root is not None and not root.ended:
                self.scopes.close(root, execution.last_ns)
                if not root.told:
                    left.append(root)
        for scope in left:
            if not scope.told:
                scope.told = True
                self._show(recorder, scope)
            elif not scope.collapsed:
                recorder.end(scope.step, status=Status.CANCELLED, time_ns=max(execution.last_ns, scope.at_ns))


def _open_at(scopes: list[Scope] | None, time_ns: int) -> Scope | None:
    return next((scope for scope in reversed(scopes or ()) if scope.open_at(time_ns)), None)


def _last(scopes: list[Scope] | None) -> Scope | None:
    return scopes[-1] if scopes else None


def _inside(step: OpenStep, other: OpenStep) -> bool:
    """Whether `step` is below `other`, or it."""
    item: OpenStep | None = step
    while item is not None:
        if item is other:
            return True
        item = item.parent
    return False
