"""The SDK's tool runner: its loop is an agent, each tool that it runs a tool call."""

from __future__ import annotations

import weakref
from typing import Any

from treerings import Kind, Status
from treerings.context import OpenStep, enter, leave
from treerings.recorder import Recorder
from treerings.usage_formats.reading import member
from treerings.wrapping import Call

from .answers import Answer
from .calls import SOURCE, asked_by, prompt_of

__all__ = ["RunnerCall", "ToolCall", "ToolError", "start_loop", "start_tool"]

_steps: weakref.WeakKeyDictionary[Any, OpenStep] = weakref.WeakKeyDictionary()


class ToolError(Exception):
    """A tool's failure, as the runner told it to the model."""


class RunnerCall(Call):
    """The loop while it runs: from its first message to its last, or to where the program leaves it."""

    __slots__ = ("_output", "complete")

    def __init__(self, recorder: Recorder, step: OpenStep) -> None:
        super().__init__(recorder, step)
        self.complete = False
        self._output: Any = None

    def take(self, item: Any) -> bool:
        reason = member(item, "stop_reason")
        self.complete = reason is not None and reason != "tool_use"
        if isinstance(member(item, "content"), list):
            answer = Answer(self.recorder.snapshot)
            answer.take_message(item)
            self._output = answer.output()
        return False

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        self.end(status=status, error=error, time_ns=time_ns, output=self._output)


class ToolCall(Call):
    """A tool of the program, run by the loop: it answers with its result, or with what went wrong."""

    __slots__ = ()

    def finish(self, result: Any) -> Any:
        output = self.recorder.snapshot(member(result, "content"))
        if member(result, "is_error") is True:
            error = ToolError(output if isinstance(output, str) else _text(output))
            self.end(status=Status.ERROR, error=error, output=output)
        else:
            self.end(output=output)
        return result


def start_tool(runner: Any, block: Any) -> ToolCall | None:
    """A call for what the model asked for in this `tool_use` block.

    A tool may run while the program reads the answer as a stream, outside of the loop: it is the runner's all the same.
    """
    asked = asked_by(block.id)
    loop = _steps.get(runner)
    token = None if loop is None or loop.ended else enter(loop)
    try:
        return ToolCall.start(
            Kind.TOOL,
            str(block.name),
            source=SOURCE,
            input=block.input,
            attributes={"tool_call_id": str(block.id), **({"called_by": asked} if asked else {})},
        )
    finally:
        if token is not None:
            leave(token)


def start_loop(runner: Any) -> RunnerCall | None:
    """A call for the runner's loop. The loop is made with the runner, and starts when it is first read."""
    call = RunnerCall.start(
        Kind.AGENT, "tool_runner", source=SOURCE, input=prompt_of(member(member(runner, "_params"), "messages"))
    )
    if call is not None:
        _steps[runner] = call.step
    return call


def _text(content: Any) -> str:
    parts = [member(part, "text") for part in content] if isinstance(content, list) else []
    return " ".join(part for part in parts if isinstance(part, str))
