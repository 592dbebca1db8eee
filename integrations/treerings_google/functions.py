"""Automatic function calling: the call that goes on until the model asks for no more is an agent, functions are tools."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from treerings import Kind, Status
from treerings.context import OpenStep, own_step
from treerings.recorder import Recorder
from treerings.snapshot import snapshot
from treerings.streams import follow_async_generator
from treerings.wrapping import Call

from .calls import SOURCE, asked_last

__all__ = ["AgentCall", "FunctionCall", "start_agent", "start_function"]


class AgentCall(Call):
    """A method that calls functions on its own: `generate_content` and `send_message`, streamed or not."""

    __slots__ = ("_texts", "complete")

    def __init__(self, recorder: Recorder, step: OpenStep) -> None:
        super().__init__(recorder, step)
        self.complete = False
        self._texts: list[str] = []

    def finish(self, result: Any) -> Any:
        if isinstance(result, AsyncIterator):
            return follow_async_generator(result, self)
        self.take(result)
        self.close(Status.OK, None, None)
        return result

    def take(self, item: Any) -> bool:
        for part in _parts(item):
            text = getattr(part, "text", None)
            if isinstance(text, str) and not getattr(part, "thought", None) and len(self._texts) < 10_000:
                self._texts.append(text)
        return False

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        self.end(status=status, error=error, time_ns=time_ns, output=snapshot("".join(self._texts)) or None)


class FunctionCall(Call):
    """A function of the program."""

    __slots__ = ()

    def finish(self, result: Any) -> Any:
        self.end(output=self.recorder.snapshot(result))
        return result

    def fail(self, error: BaseException) -> None:
        """The SDK raises its own error in place of the function's, and tells the model."""
        cause = error.__cause__ or error.__context__
        super().fail(cause if isinstance(error, Exception) and cause is not None else error)


def start_agent(name: str, owner: Any, kwargs: Mapping[str, Any]) -> AgentCall | None:
    """A call for this method if it will call functions on its own; None inside of another one, and where it just asks."""
    if _in_agent() or not _calls_functions(kwargs.get("config") or getattr(owner, "_config", None)):
        return None
    asked = kwargs.get("message", kwargs.get("contents"))
    model = kwargs.get("model") or getattr(owner, "_model", None)
    return AgentCall.start(
        Kind.AGENT, name, source=SOURCE, input=asked, attributes={"model": model} if isinstance(model, str) else None
    )


def start_function(args: tuple[Any, ...], kwargs: dict[str, Any]) -> FunctionCall | None:
    """For `invoke_function_from_dict_args(args, function)`; None outside of what is recorded."""
    if not _in_agent():
        return None
    given = kwargs.get("args", args[0] if args else None)
    function = kwargs.get("function_to_invoke", args[-1] if args else None)
    asked = asked_last()
    return FunctionCall.start(
        Kind.TOOL,
        str(getattr(function, "__name__", "function")),
        source=SOURCE,
        input=given,
        attributes={"called_by": asked} if asked else None,
    )


def _in_agent() -> bool:
    around = own_step()
    return around is not None and not around.ended and around.source == SOURCE and around.kind is Kind.AGENT


def _calls_functions(config: Any) -> bool:
    tools = _get(config, "tools")
    if not isinstance(tools, list | tuple):
        return False
    automatic = _get(config, "automatic_function_calling")
    if automatic is not None and _get(automatic, "disable"):
        return False
    return any(callable(tool) or hasattr(tool, "call_tool") for tool in tools)


def _parts(response: Any) -> Any:
    candidates = getattr(response, "candidates", None)
    content = getattr(candidates[0], "content", None) if candidates else None
    return getattr(content, "parts", None) or ()


def _get(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
