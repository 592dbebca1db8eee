"""smolagents for the whole process: its agents, models, tools and code executors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from treerings import StopWorkflow
from treerings.context import current_step, enter, leave
from treerings.wrapping import Patches, recorded, recorded_generator

from .calls import SOURCE, AgentCall, CodeCall, ModelCall, StreamedCall, ToolCall, called_tool

__all__ = ["instrument", "probe", "uninstrument"]

_patches = Patches()


def instrument() -> None:
    """Record every agent of this process, those that exist already included; a second call does nothing."""
    from smolagents import (  # type: ignore[import-untyped]  # has no types
        agents,
        local_python_executor,
        models,
        tools,
    )

    _patches.wrap(agents.MultiStepAgent, "run", _run)
    _patches.wrap(agents.ToolCallingAgent, "execute_tool_call", recorded(called_tool))
    for tool in _family(tools.Tool):
        _wrap_own(tool, "__call__", recorded(ToolCall.begin))
    for executor in _family(local_python_executor.PythonExecutor):
        _wrap_own(executor, "__call__", recorded(CodeCall.begin))
    _patches.wrap(local_python_executor, "timeout", _in_its_thread)
    for model in _family(models.Model):
        _wrap_model(model)


def uninstrument() -> None:
    """Give smolagents its own methods back; runs that are under way are recorded to their end."""
    _patches.undo()


def _family(base: type) -> Iterator[type]:
    """A class and all that are derived from it so far."""
    seen, pending = {base}, [base]
    while pending:
        cls = pending.pop()
        yield cls
        derived: list[type] = type.__subclasses__(cls)
        new = [one for one in derived if one not in seen]
        seen.update(new)
        pending.extend(new)


def _wrap_own(cls: type, name: str, around: Any) -> None:
    function = cls.__dict__.get(name)
    if inspect.isfunction(function) and not getattr(function, "__isabstractmethod__", False):
        _patches.wrap(cls, name, around)


def _wrap_model(cls: type) -> None:
    _wrap_own(cls, "generate", recorded(ModelCall.begin))
    _wrap_own(cls, "generate_stream", recorded_generator(StreamedCall.begin))


_recorded_run = recorded(AgentCall.begin)


def _run(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A run, whose model may be of a class that is newer than `instrument`; a guard's stop leaves it as what it is."""
    for cls in type(getattr(args[0], "model", None)).__mro__[:-1]:
        _wrap_model(cls)
    try:
        return _recorded_run(function, args, kwargs)
    except Exception as error:
        if isinstance(error.__cause__, StopWorkflow):
            raise error.__cause__ from None
        raise


def _in_its_thread(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Code runs in a thread with a time limit, which gets no context: the tools that it calls need the step around it."""
    limit = function(*args, **kwargs)

    def decorator(code: Callable[..., Any]) -> Any:
        step = current_step()
        if step is None or step.source != SOURCE:
            return limit(code)

        def inside(*args: Any, **kwargs: Any) -> Any:
            token = enter(step)
            try:
                return code(*args, **kwargs)
            finally:
                leave(token)

        return limit(inside)

    return decorator


def probe(base_url: str) -> None:
    """Run an agent that calls one tool, on the scripted server at `base_url`."""
    from smolagents import LogLevel, OpenAIModel, Tool, ToolCallingAgent

    class RingCount(Tool):  # type: ignore[misc]  # untyped
        name = "ring_count"
        description = "Counts the rings of a tree."
        inputs = {"tree": {"type": "string", "description": "The tree."}}  # noqa: RUF012
        output_type = "string"

        def forward(self, tree: str) -> str:
            return f"{tree}: 112"

    model = OpenAIModel("gpt-4o-mini", api_base=base_url, api_key="unused")
    agent = ToolCallingAgent(tools=[RingCount()], model=model, name="probe", max_steps=1, verbosity_level=LogLevel.OFF)
    agent.run("How old is the oak?")
