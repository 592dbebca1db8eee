"""Starts and ends into steps: which execution they belong to, under which parent, and which start an end is of."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from treerings import Kind, Recorder, runtime
from treerings.context import OpenStep, innermost, step_around

from .ends import End
from .leftovers import abandon, settle, show, tend
from .places import SOURCE, Places, Told, inside, last
from .scopes import Execution, Key, Scope, Scopes
from .starts import Start
from .toolcalls import link, remember_asked

__all__ = ["Assembler"]

logger = logging.getLogger("treerings")

MAX_PENDING = 2_000


class Assembler:
    """Turns what is told, in any order and on any thread, into steps."""

    def __init__(self, scopes: Scopes) -> None:
        self.scopes = scopes
        self.places = Places(scopes)
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
            lost = self.places.leaked(told, said)
            execution = scope.execution if scope is not None else self.places.execution_of(recorder, told, said, around)
            recorder = execution.writer(recorder)
            stand_in: Scope | None = None
            if said.begins and scope is not execution.root and self.places.is_root(execution, told):
                stand_in, scope = scope, execution.root
                self.scopes.expected.pop(told.event_id, None)
            parent: OpenStep | None
            if scope is None and execution.root is not None and execution.root.event_id == told.event_id:
                scope = execution.root
            if scope is not None and scope is execution.root:
                parent = scope.step.parent
                if scope.event_id != told.event_id:
                    scope.event_id = told.event_id
                    self.scopes.add(scope)
            else:
                parent = innermost(self.places.parent(recorder, execution, told, said), around)
            if said.collapsed and scope is None and parent is not None:
                scope = Scope(told.event_id, execution, parent)
                scope.collapsed = True
                self.scopes.add(scope)
            elif scope is None:
                scope = Scope(
                    told.event_id, execution, recorder.expect(said.kind, said.name, source=SOURCE, parent=parent)
                )
                self.scopes.add(scope)
            elif parent is not None and inside(parent, scope.step):
                parent = scope.step.parent
            self._opened(scope, told, said)
            ends = self._waiting(scope, told, said)
            first_ns = self._first_tokens.pop(str(said.key[1]), None) if said.key and said.kind is Kind.LLM else None
        for dead in lost:
            abandon(self.scopes, recorder, dead)
        if stand_in is not None:  # things inside were told first and hang below it
            show(recorder, stand_in)
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
        recorder = scope.execution.writer(recorder)
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
        return last(same)

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
        scope.execution.writer(recorder).update(scope.step, first_token_ns=now_ns)

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
                execution = self.places.execution_of(recorder, told, None, around)
            root = execution.root
            if event_id is not None and scope is None and event_id not in self.scopes.dead:
                scope = self.scopes.by_event.get(event_id) or self.places.expect(
                    recorder, execution, event_id, recorder.clock.time_ns(), inside
                )
                return scope.step.nearest_open() if scope is not None else None
            return root.step.nearest_open() if root is not None else None

    # -- what nobody tells ----------------------------------------------------------------------------------------

    def tend(self, recorder: Recorder) -> None:
        """Look after runs that ended without a word; called now and then."""
        tend(self.scopes, recorder)

    def settle(self, recorder: Recorder, before_ns: int) -> None:
        """Everything emitted before then was told."""
        for execution in self.scopes.executions():
            self._take_up(recorder, execution)
        settle(self.scopes, recorder, before_ns)

    def _take_up(self, recorder: Recorder, execution: Execution) -> None:
        """Say the root of a run that went on from a checkpoint: CrewAI does not tell again that it started."""
        with self.scopes.lock:
            root = execution.root
            if root is None or root.told:
                return
            waiting = [item for key in self._pending if key[0] == execution.uuid for item in self._pending[key]]
            found = next((item for item in waiting if item[1].begins), None)
        if found is not None:
            told, end = found
            said = Start(Kind.WORKFLOW, end.name or "crewai", end.key, begins=True, attributes={"resumed": True})
            self.started(recorder, Told(told.event_id, None, None, "", root.at_ns, execution.uuid), said)
