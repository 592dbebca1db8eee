"""The open invocations of a process, with their agents and model calls: what belongs under what."""

from __future__ import annotations

import asyncio
import weakref
from collections import OrderedDict
from contextvars import Token
from typing import Any

from treerings import Status, Usage, runtime
from treerings.context import OpenStep, current_step, innermost, leave

__all__ = ["RUNS", "AgentRun", "ModelCall", "Run", "add", "end_abandoned"]

MAX_RUNS = 10_000


class ModelCall:
    """One request to a model. Of a stream there may be several last responses: it ends when something else begins."""

    def __init__(self, step: OpenStep, token: Token[OpenStep | None] | None) -> None:
        self.step = step
        self.token = token
        self.texts: list[str] = []
        self.chars = 0
        self.partial_texts: list[str] = []
        self.tool_calls: list[dict[str, Any]] = []
        self.usage: Usage | None = None
        self.attributes: dict[str, Any] = {}
        self.model: str | None = None
        self.streamed = False
        self.answered = False
        self.failed: str | None = None
        self.last_ns: int | None = None

    def leave(self) -> None:
        """Before the framework gives something to its consumer: whose code is not inside of this call."""
        if self.token is not None:
            leave(self.token)
            self.token = None

    def end(self, status: Status = Status.OK, error: BaseException | None = None) -> None:
        """Say what is known, at the time of the last response."""
        self.leave()
        text = "".join(self.texts or self.partial_texts)
        output: dict[str, Any] | None = {"content": text or None} if self.answered or text else None
        if self.tool_calls and output is not None:
            output["tool_calls"] = self.tool_calls
        if self.failed is not None and error is None:
            status, error = Status.ERROR, ModelError(self.failed)
        runtime.current_recorder().end(
            self.step,
            status=status,
            output=output,
            usage=self.usage,
            model=self.model,
            error=error,
            attributes=self.attributes or None,
            time_ns=self.last_ns if self.answered and status is Status.OK else None,
        )


class ModelError(Exception):
    """What a model answered instead of an answer: its code and message."""


class AgentRun:
    """One agent at work."""

    def __init__(self, name: str, branch: str, step: OpenStep, context: Any, token: Token[OpenStep | None] | None):
        self.name = name
        self.branch = branch
        self.step = step
        self.context = context
        self.token = token
        self.call: ModelCall | None = None
        self.asked: list[tuple[str | None, str, Any, str]] = []
        """Tool calls that its models asked for: id, tool, arguments, the model call's step."""
        self.said: str | None = None
        self.handed_to: str | None = None
        self.handed_ns: int | None = None

    def finish_call(self, status: Status = Status.OK) -> None:
        """End the model call that nobody told the end of."""
        call, self.call = self.call, None
        if call is not None:
            if not call.answered and status is Status.OK:  # a callback answered: no model was asked
                call.usage = Usage(cache_hit=True)
                call.attributes["answered_by"] = "callback"
            self.said = "".join(call.texts) or self.said
            call.end(status)

    def end(self, status: Status = Status.OK, error: BaseException | None = None) -> None:
        """End the agent, and its model call with it."""
        self.finish_call(Status.CANCELLED if status is Status.CANCELLED else Status.OK)
        if self.token is not None:
            leave(self.token)
            self.token = None
        self.context = None
        handed_ns = self.handed_ns if status is Status.OK else None
        runtime.current_recorder().end(self.step, status=status, output=self.said, error=error, time_ns=handed_ns)


class Run:
    """One invocation of a runner. One inside of an agent's tool has no step of its own."""

    def __init__(self, step: OpenStep | None, parent: OpenStep | None) -> None:
        self.step = step
        self.parent = parent
        self.agents: list[AgentRun] = []
        self.output: Any = None
        self.cancelled = False
        task = _task()
        self.task = None if task is None else weakref.ref(task)

    def here(self) -> bool:
        """Whether this is the task that reads the events: it also runs the consumer's code, in the same context."""
        return self.task is None or self.task() is _task()

    def parent_of(self, agent: Any, branch: str) -> OpenStep | None:
        """The step to hang an agent under: that of the nearest open agent above it, else the run's."""
        above: list[str] = []
        outer = getattr(agent, "parent_agent", None)
        while outer is not None and len(above) < 100:
            above.append(outer.name)
            outer = getattr(outer, "parent_agent", None)
        given = self.step or self.parent
        around = [run for run in self.agents if not run.step.ended and branch.startswith(run.branch)]
        if above:
            inner = next((run for name in above for run in reversed(around) if run.name == name), None)
        else:
            inner = around[-1] if around else None
        if inner is not None:
            given = inner.step
        return innermost(given, current_step())

    def agent(self, name: str, branch: str) -> AgentRun | None:
        """The open agent of this name, in this branch of a parallel run."""
        for run in reversed(self.agents):
            if run.name == name and run.branch == branch and not run.step.ended:
                return run
        return None

    def end(self, status: Status = Status.OK, error: BaseException | None = None) -> None:
        """End the run and what is open in it. Agents that were closed in the middle are told of by nobody."""
        for agent in reversed(self.agents):
            if agent.step.ended:
                continue
            stopped = bool(getattr(agent.context, "end_invocation", False)) or agent.handed_to is not None
            if status is Status.OK and not stopped:
                self.cancelled = True
            agent.end(Status.OK if stopped else Status.CANCELLED)
        self.agents.clear()
        if self.step is not None:
            ended = Status.CANCELLED if self.cancelled and status is Status.OK else status
            runtime.current_recorder().end(self.step, status=ended, output=self.output, error=error)


RUNS: OrderedDict[str, Run] = OrderedDict()
"""The open runs by their invocation's id; the oldest are let go of."""


def add(invocation_id: str, run: Run) -> None:
    """Keep an open run."""
    RUNS[invocation_id] = run
    while len(RUNS) > MAX_RUNS:
        RUNS.popitem(last=False)


def end_abandoned(recorder: Any) -> None:
    """End the runs whose task is over: a cancelled one ends without a word."""
    for invocation_id, run in list(RUNS.items()):
        task = None if run.task is None else run.task()
        if run.task is not None and (task is None or task.done()):
            RUNS.pop(invocation_id, None)
            run.end(Status.CANCELLED)


def _task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop
        return None
