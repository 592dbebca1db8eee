"""Workflows and their executors: the framework tells of these in the stream of the run only, which is the program's."""

from __future__ import annotations

from typing import Any

from treerings import Kind, Status
from treerings.context import OpenStep, current_step
from treerings.recorder import Recorder
from treerings.wrapping import Call, Patches, recorded_async, recorded_async_generator

from . import payloads
from .calls import SOURCE

__all__ = ["wrap"]

MAX_OUTPUTS = 100


def wrap(patches: Patches) -> None:
    """Have runs of workflows and executors recorded; parts that this version does not have are left out."""
    from agent_framework import Executor, Workflow

    patches.wrap(Workflow, "_run_core", recorded_async_generator(_run_begins))
    patches.wrap(Executor, "execute", recorded_async(_node_begins))
    try:
        from agent_framework import FunctionalWorkflow, StepWrapper
    except ImportError:  # experimental
        return
    patches.wrap(FunctionalWorkflow, "_run_core", recorded_async_generator(_run_begins))
    patches.wrap(StepWrapper, "__call__", recorded_async(_step_begins))


class WorkflowCall(Call):
    """One run of a workflow, as its events tell it."""

    __slots__ = ("_outputs", "_waits")

    complete = False

    def __init__(self, recorder: Recorder, step: OpenStep) -> None:
        super().__init__(recorder, step)
        self._outputs: list[Any] = []
        self._waits = False

    def take(self, event: Any) -> bool:
        kind = getattr(event, "type", None)
        if kind == "output" and len(self._outputs) < MAX_OUTPUTS:
            self._outputs.append(self.recorder.snapshot(_plain(event.data)))
        elif kind == "request_info":
            self._waits = True
        return False

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        if status is Status.OK and self._waits:
            status = Status.INTERRUPTED
        outputs: Any = self._outputs
        if outputs and all(isinstance(one, str) for one in outputs) and len(outputs) > 1:
            outputs = "".join(outputs)  # updates of a streamed run
        elif len(outputs) == 1:
            outputs = outputs[0]
        self.end(status=status, error=error, output=outputs or None, time_ns=time_ns)


def _run_begins(args: tuple[Any, ...], kwargs: dict[str, Any]) -> WorkflowCall | None:
    given = args[1] if len(args) > 1 else kwargs.get("message")
    if given is None:
        given = kwargs.get("responses")
    return WorkflowCall.start(Kind.WORKFLOW, _name(args[0], "workflow"), source=SOURCE, input=_plain(given))


def _node_begins(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    message = args[1] if len(args) > 1 else kwargs.get("message")
    inner = getattr(message, "data", message) if type(message).__name__ == "WorkflowMessage" else message
    name = getattr(args[0], "id", None)
    hidden = {"hidden": True} if type(args[0]).__module__.startswith("agent_framework._workflows._edge") else None
    return Call.start(Kind.NODE, str(name or "executor")[:80], source=SOURCE, input=_plain(inner), attributes=hidden)


class StepCall(Call):
    """One step of a functional workflow."""

    __slots__ = ()

    def finish(self, result: Any) -> Any:
        self.end(output=self.recorder.snapshot(_plain(result)))
        return result


def _step_begins(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    if current_step() is None:  # outside of a workflow it is a function
        return None
    given = {**{str(index): _plain(one) for index, one in enumerate(args[1:])}, **kwargs}
    return StepCall.start(Kind.NODE, _name(args[0], "step"), source=SOURCE, input=given or None)


def _name(owner: Any, otherwise: str) -> str:
    return str(getattr(owner, "name", None) or getattr(owner, "id", None) or otherwise)[:80]


def _plain(data: Any) -> Any:
    """Messages and answers as text; the framework's envelopes as what is in them."""
    if isinstance(data, list) and data and all(hasattr(one, "contents") for one in data):
        return payloads.run_input(data)
    if hasattr(data, "contents"):
        return payloads.run_input([data])
    for name in ("agent_response", "messages"):
        inner = getattr(data, name, None)
        if inner is not None:
            return getattr(inner, "text", None) or _plain(inner)
    text = getattr(data, "text", None)
    return text if isinstance(text, str) else data
