"""Agents: a call of `run`, `run_stream`, `on_messages` or `on_messages_stream` that is not within one of the same agent."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    CodeExecutionEvent,
    CodeGenerationEvent,
    HandoffMessage,
    MemoryQueryEvent,
    ToolCallExecutionEvent,
    UserInputRequestedEvent,
)
from treerings import Kind, Status, runtime
from treerings.context import OpenStep

from . import payloads
from .classes import WrappedMethods
from .outcome import ToolFailure, status_of
from .places import note_stop, place
from .watching import argument, awaiting, streaming

__all__ = ["AGENTS", "AgentRun", "run_around"]

SOURCE = "autogen"
MAX_RUNS = 10_000
MAX_CALLS = 1_000


class AgentRun:
    """One run of an agent: the step, and what is known of the tool calls that its model asked for."""

    __slots__ = ("agent", "asked_by", "done", "handoffs", "response", "seen", "step", "waiting")

    def __init__(self, agent: Any, step: OpenStep) -> None:
        self.agent = agent
        self.step = step
        self.asked_by: dict[str, str] = {}
        """The ids of the model calls' steps by the ids of the tool calls that they asked for."""
        self.done: set[str] = set()
        """The ids of the tool calls that have steps."""
        self.handoffs: set[str] = set()
        """The agents to which a tool already handed over."""
        self.seen: set[str] = set()
        self.waiting: OpenStep | None = None
        """What the agent waits for between two messages: a person's answer, or code that runs."""
        self.response: Any = None

    def handoff_target(self, tool: str) -> str | None:
        """The agent to which the tool of this name hands over; None for other tools."""
        handoffs = getattr(self.agent, "_handoffs", None)  # no public way to it
        target = getattr(handoffs.get(tool), "target", None) if isinstance(handoffs, dict) else None
        return target if isinstance(target, str) else None

    def asked(self, call_id: str, step: OpenStep) -> None:
        """A model call of this run asked for a tool call."""
        if call_id and len(self.asked_by) < MAX_CALLS:
            self.asked_by[call_id] = step.id

    def tool_started(self, call_id: Any, handoff_to: str | None) -> dict[str, str]:
        """A tool call has its step now; the attributes that link it to the model call that asked for it."""
        if handoff_to is not None:
            self.handoffs.add(handoff_to)
        if not isinstance(call_id, str):
            return {}
        if len(self.done) < MAX_CALLS:
            self.done.add(call_id)
        return {"called_by": self.asked_by[call_id]} if call_id in self.asked_by else {}


_runs: OrderedDict[str, AgentRun] = OrderedDict()
"""The runs that are open, by step id."""


def run_around(step: OpenStep | None) -> AgentRun | None:
    """The innermost agent's run in which this step is."""
    while step is not None:
        run = _runs.get(step.id)
        if run is not None:
            return run
        step = step.parent
    return None


class _AgentWatch:
    """Watches one call of an agent's method; the outermost one owns the step."""

    def __init__(self, run: AgentRun, *, owner: bool, messages: bool) -> None:
        self.run = run
        self.owner = owner
        self.messages = messages
        self.step = run.step if owner else None

    def item(self, item: Any) -> None:
        if self.messages:
            _observe(self.run, item)
        elif isinstance(item, TaskResult):
            self.run.response = self.run.response or item

    def end(self, error: BaseException | None, result: Any = None) -> BaseException | None:
        run = self.run
        if isinstance(result, Response) and self.messages:
            for message in result.inner_messages or ():
                _observe(run, message)
            _observe(run, result)
        if not self.owner:
            return None
        _stop_waiting(run, error)
        _runs.pop(run.step.id, None)
        note_stop(run.step, error)
        runtime.current_recorder().end(
            run.step,
            status=Status.OK if run.response is not None and isinstance(error, GeneratorExit) else status_of(error),
            output=payloads.taken(payloads.result(result if run.response is None else run.response)),
            error=error if isinstance(error, Exception) else None,
        )
        return None


def _begin(agent: Any, given: Any, *, messages: bool) -> _AgentWatch | None:
    recorder = runtime.current_recorder()
    if not recorder.enabled:
        return None
    parent = place()
    around = None if parent is None else _runs.get(parent.id)
    if around is not None and around.agent is agent:
        return _AgentWatch(around, owner=False, messages=messages)
    step = recorder.start(
        Kind.AGENT, agent.name, source=SOURCE, parent=parent, input=payloads.taken(payloads.task(given))
    )
    run = _runs[step.id] = AgentRun(agent, step)
    if len(_runs) > MAX_RUNS:
        _runs.popitem(last=False)
    return _AgentWatch(run, owner=True, messages=messages)


def _task(agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _AgentWatch | None:
    return _begin(agent, kwargs.get("task"), messages=False)


def _messages(agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _AgentWatch | None:
    return _begin(agent, argument(args, kwargs, 0, "messages"), messages=True)


AGENTS = WrappedMethods(
    BaseChatAgent,
    {
        "run": awaiting(_task),
        "run_stream": streaming(_task),
        "on_messages": awaiting(_messages),
        "on_messages_stream": streaming(_messages),
    },
)


# -- what the messages say ------------------------------------------------------------------------------------------


def _observe(run: AgentRun, item: Any) -> None:
    """Take from a message what no call shows: memory, people, code, refused tool calls, handoffs without a tool."""
    if isinstance(item, Response):
        run.response = item
        item = item.chat_message
    if not isinstance(item, BaseAgentEvent | BaseChatMessage) or item.source != run.agent.name:
        return  # an agent that runs a team passes on the messages of the others
    outer: AgentRun | None = run
    known = item.id in run.seen
    while outer is not None:  # an agent around this one may pass the message on under the same name
        if len(outer.seen) < MAX_CALLS:
            outer.seen.add(item.id)
        outer = run_around(outer.step.parent)
    if known:
        return
    if isinstance(item, CodeExecutionEvent):
        _code_ran(run, item)
        return
    _stop_waiting(run, None)
    if isinstance(item, UserInputRequestedEvent):
        run.waiting = _start(run, Kind.HUMAN, "user_input", None)
    elif isinstance(item, CodeGenerationEvent):
        blocks = [{"language": block.language, "code": block.code} for block in item.code_blocks]
        if blocks:
            run.waiting = _start(run, Kind.TOOL, "execute_code", blocks)
    elif isinstance(item, MemoryQueryEvent):
        _memory(run, item)
    elif isinstance(item, ToolCallExecutionEvent):
        _refused_calls(run, item)
    elif isinstance(item, HandoffMessage) and item.target not in run.handoffs:
        run.handoffs.add(item.target)
        step = _start(run, Kind.HANDOFF, f"handoff to {item.target}", None, handoff_to=item.target)
        runtime.current_recorder().end(step, output=payloads.taken(item.content))


def _start(run: AgentRun, kind: Kind, name: str, given: Any, time_ns: int | None = None, **attributes: Any) -> OpenStep:
    return runtime.current_recorder().start(
        kind,
        name,
        source=SOURCE,
        parent=run.step,
        input=payloads.taken(given),
        attributes=attributes or None,
        time_ns=time_ns,
    )


def _stop_waiting(run: AgentRun, error: BaseException | None) -> None:
    if run.waiting is not None:
        runtime.current_recorder().end(
            run.waiting, status=status_of(error), error=error if isinstance(error, Exception) else None
        )
        run.waiting = None


def _code_ran(run: AgentRun, event: CodeExecutionEvent) -> None:
    step, run.waiting = run.waiting or _start(run, Kind.TOOL, "execute_code", None), None
    code = event.result.exit_code
    runtime.current_recorder().end(
        step,
        status=Status.OK if code == 0 else Status.ERROR,
        output=payloads.taken(event.result.output),
        error=None if code == 0 else ToolFailure(f"Exit code {code}"),
        attributes={"exit_code": code},
    )


def _memory(run: AgentRun, event: MemoryQueryEvent) -> None:
    """Memory is asked without a word; what it added to the context is told at once afterwards."""
    step = _start(run, Kind.RETRIEVER, "memory", None, _time(event))
    runtime.current_recorder().end(step, output=payloads.taken([payloads.document(found) for found in event.content]))


def _refused_calls(run: AgentRun, event: ToolCallExecutionEvent) -> None:
    """Calls of tools that do not exist, or with arguments that are no JSON, fail before any tool hears of them."""
    for result in event.content:
        if result.is_error and result.call_id not in run.done:
            attributes = {"tool_call_id": result.call_id}
            if asked_by := run.asked_by.get(result.call_id):
                attributes["called_by"] = asked_by
            step = _start(run, Kind.TOOL, result.name, None, None, **attributes)
            runtime.current_recorder().end(step, status=Status.ERROR, error=ToolFailure(result.content))


def _time(event: BaseAgentEvent) -> int | None:
    created = event.created_at
    if not isinstance(created, datetime) or created.tzinfo is None:
        return None
    return int(created.astimezone(UTC).timestamp() * 1_000_000_000)
