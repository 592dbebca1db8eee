"""Tools: calls of `run_json`, and of workbenches that run tools of their own; handoffs among them."""

from __future__ import annotations

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from autogen_core.tools import BaseTool, FunctionTool, StaticWorkbench, ToolResult, Workbench
from treerings import Kind, Status, runtime
from treerings.context import OpenStep, current_step, enter, leave

from . import payloads
from .agents import run_around
from .classes import WrappedMethods
from .outcome import ToolFailure, status_of
from .places import note_stop, place
from .watching import argument, awaiting, streaming

__all__ = ["FUNCTION_TOOLS", "TOOLS", "WORKBENCHES"]

SOURCE = "autogen"
MAX_OPEN = 10_000

_open: OrderedDict[str, Any] = OrderedDict()
"""The tools and workbenches that run, by step id."""


class _ToolWatch:
    def __init__(self, step: OpenStep) -> None:
        self.step = step
        self.last: Any = None

    def item(self, item: Any) -> None:
        self.last = item

    def end(self, error: BaseException | None, result: Any = None) -> BaseException | None:
        _open.pop(self.step.id, None)
        result = self.last if result is None else result
        status = status_of(error)
        output = payloads.tool_result(result)
        if isinstance(result, ToolResult):
            output = result.to_text()
            if result.is_error and error is None:
                status, error = Status.ERROR, ToolFailure(output)
        note_stop(self.step, error)
        runtime.current_recorder().end(
            self.step,
            status=status,
            output=payloads.taken(output) if status is Status.OK else None,
            error=error if isinstance(error, Exception) else None,
        )
        return None


def _begin(owner: Any, name: Any, given: Any, call_id: Any) -> _ToolWatch | None:
    recorder = runtime.current_recorder()
    if not recorder.enabled or not isinstance(name, str) or _is_within(owner, name):
        return None
    parent = place()
    run = run_around(parent)
    attributes: dict[str, Any] = {}
    if isinstance(call_id, str) and call_id:
        attributes["tool_call_id"] = call_id
    target = None
    if run is not None:
        target = run.handoff_target(name)
        if target is not None:
            attributes["handoff_to"] = target
        attributes.update(run.tool_started(call_id, target))
    step = recorder.start(
        Kind.TOOL if target is None else Kind.HANDOFF,
        name,
        source=SOURCE,
        parent=parent,
        input=payloads.taken(given),
        attributes=attributes or None,
    )
    _open[step.id] = owner
    if len(_open) > MAX_OPEN:
        _open.popitem(last=False)
    return _ToolWatch(step)


def _is_within(owner: Any, name: str) -> bool:
    """Whether this is a part of a call that has its step: of the same tool by `super()`, of a workbench by its tool."""
    step = current_step()
    if step is None or (around := _open.get(step.id)) is None:
        return False
    return bool(around is owner or (isinstance(around, Workbench) and step.name == name))


def _tool(tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _ToolWatch | None:
    return _begin(tool, tool.name, argument(args, kwargs, 0, "args"), argument(args, kwargs, 2, "call_id"))


def _workbench(bench: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _ToolWatch | None:
    if isinstance(bench, StaticWorkbench):  # its tools have their own steps, with the exceptions themselves
        return None
    given, call_id = argument(args, kwargs, 1, "arguments"), argument(args, kwargs, 3, "call_id")
    return _begin(bench, argument(args, kwargs, 0, "name"), given, call_id)


TOOLS = WrappedMethods(BaseTool, {"run_json": awaiting(_tool), "run_json_stream": streaming(_tool)})
WORKBENCHES = WrappedMethods(Workbench, {"call_tool": awaiting(_workbench), "call_tool_stream": streaming(_workbench)})


def _carrying(run: Callable[..., Any]) -> Callable[..., Any]:
    """A synchronous function runs in an executor, without any context: give it the step of its tool there."""

    async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await run(_within_step(self), *args, **kwargs)

    return wrapper


def _within_step(tool: Any) -> Any:
    """The tool for this one call: its function, where it is synchronous, enters the current step in its thread."""
    step = current_step()
    function = getattr(tool, "_func", None)
    if step is None or function is None or inspect.iscoroutinefunction(function):
        return tool

    @functools.wraps(function)
    def carried(*args: Any, **kwargs: Any) -> Any:
        token = enter(step)
        try:
            return function(*args, **kwargs)
        finally:
            leave(token)

    try:
        twin = object.__new__(type(tool))
        twin.__dict__.update(tool.__dict__, _func=carried)
    except Exception:  # a class without a `__dict__`, or that guards its making
        return tool
    return twin


FUNCTION_TOOLS = WrappedMethods(FunctionTool, {"run": _carrying})
