"""The callback that dspy tells its calls: each becomes a step while it runs."""

from __future__ import annotations

import functools
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import dspy  # type: ignore[import-untyped]  # dspy is not typed
from dspy.utils.callback import ACTIVE_CALL_ID, BaseCallback  # type: ignore[import-untyped]  # dspy is not typed
from treerings import Kind, Recorder, Status, StopWorkflow, runtime
from treerings.context import OpenStep, add_ambient, current_step

from .language_models import end_model_call, prompt_and_request, provider_and_model

__all__ = ["SOURCE", "TreeringsCallback", "take_refusal"]

logger = logging.getLogger("treerings")

SOURCE = "dspy"
MAX_OPEN = 10_000

_open: OrderedDict[str, tuple[OpenStep, Any]] = OrderedDict()
"""The open calls by dspy's id: the step, and of a model call the model."""
_last_calls: OrderedDict[str, str] = OrderedDict()
"""The latest model call of each agent, which asks for its tools."""
_refused: ContextVar[StopWorkflow | None] = ContextVar("treerings_dspy_refused", default=None)


def _ambient() -> OpenStep | None:
    """The call whose code is running, by dspy's own variable, which its thread pools carry along."""
    found = _open.get(ACTIVE_CALL_ID.get() or "")
    return None if found is None or found[0].ended else found[0]


add_ambient(_ambient)


def take_refusal() -> StopWorkflow | None:
    """What a guard said to the call that is about to begin here, once."""
    refusal = _refused.get()
    if refusal is not None:
        _refused.set(None)
    return refusal


def told(callback: Callable[..., None]) -> Callable[..., None]:
    """A callback that no failure of ours gets out of."""

    @functools.wraps(callback)
    def safely(self: TreeringsCallback, *args: Any, **kwargs: Any) -> None:
        if not self.active:
            return
        try:
            recorder = runtime.current_recorder()
            if recorder.enabled:
                callback(self, recorder, *args, **kwargs)
        except StopWorkflow as error:  # dspy swallows what a callback raises: see integration.py
            _refused.set(error)
        except Exception as error:
            report(callback.__name__, error)

    return safely


class TreeringsCallback(BaseCallback):  # type: ignore[misc]  # as above
    """Records the calls that it is told of: `with dspy.context(callbacks=[TreeringsCallback()]): ...`.

    A call that two of them are told of is recorded once. dspy swallows what a callback raises, so a guard stops a run only
    where `treerings.instrument("dspy")` is on.
    """

    def __init__(self) -> None:
        self.active = True

    # -- modules and what runs them -------------------------------------------------------------------------------

    @told
    def on_module_start(self, recorder: Recorder, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        parent = current_step()
        kind = _module_kind(instance, parent)
        _start(recorder, call_id, kind, type(instance).__name__, parent, _arguments(inputs))

    @told
    def on_module_end(self, recorder: Recorder, call_id: str, outputs: Any, exception: Any = None) -> None:
        _end(recorder, call_id, _plain(outputs), exception)

    @told
    def on_evaluate_start(self, recorder: Recorder, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        parent = current_step()
        shown = {"examples": len(inputs.get("devset") or getattr(instance, "devset", None) or ())}
        _start(recorder, call_id, Kind.TASK if parent else Kind.WORKFLOW, type(instance).__name__, parent, shown)

    @told
    def on_evaluate_end(self, recorder: Recorder, call_id: str, outputs: Any, exception: Any = None) -> None:
        score = getattr(outputs, "score", None)
        _end(recorder, call_id, None if score is None else {"score": score}, exception)

    @told
    def on_compile_start(self, recorder: Recorder, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        parent = current_step()
        _start(recorder, call_id, Kind.TASK if parent else Kind.WORKFLOW, type(instance).__name__, parent, None)

    @told
    def on_compile_end(self, recorder: Recorder, call_id: str, outputs: Any, exception: Any = None) -> None:
        _end(recorder, call_id, None, exception)

    # -- models ---------------------------------------------------------------------------------------------------

    @told
    def on_lm_start(self, recorder: Recorder, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        if call_id in _open:
            return
        prompt, request = prompt_and_request(instance, inputs)
        provider, model = provider_and_model(instance)
        step = recorder.start(
            Kind.LLM,
            type(instance).__name__,
            source=SOURCE,
            parent=current_step(),
            input=recorder.snapshot(prompt),
            model=model,
            provider=provider,
            attributes={"request": recorder.snapshot(request)} if request else None,
        )
        _keep(call_id, step, instance)

    @told
    def on_lm_end(self, recorder: Recorder, call_id: str, outputs: Any, exception: Any = None) -> None:
        found = _open.pop(call_id, None)
        if found is None:
            return
        step, model = found
        agent = _agent_of(step)
        if agent is not None:
            _last_calls[agent.id] = step.id
            while len(_last_calls) > MAX_OPEN:
                _last_calls.popitem(last=False)
        if exception is not None:
            _fail(recorder, step, exception)
        else:
            end_model_call(recorder, step, model, outputs)

    # -- tools ----------------------------------------------------------------------------------------------------

    @told
    def on_tool_start(self, recorder: Recorder, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        parent = current_step()
        agent = None if parent is None else _agent_of(parent)
        asked = None if agent is None else _last_calls.get(agent.id)
        name = str(getattr(instance, "name", None) or "tool")
        attributes = {"called_by": asked} if asked else None
        _start(recorder, call_id, Kind.TOOL, name, parent, _arguments(inputs), attributes)

    @told
    def on_tool_end(self, recorder: Recorder, call_id: str, outputs: Any, exception: Any = None) -> None:
        _end(recorder, call_id, outputs, exception)

    @told
    def on_interpreter_execute_start(
        self, recorder: Recorder, call_id: str, instance: Any, inputs: dict[str, Any]
    ) -> None:
        _start(recorder, call_id, Kind.TOOL, type(instance).__name__, current_step(), inputs.get("code"))

    @told
    def on_interpreter_execute_end(self, recorder: Recorder, call_id: str, outputs: Any, exception: Any = None) -> None:
        _end(recorder, call_id, outputs, exception)

    # -- plumbing -------------------------------------------------------------------------------------------------

    @told
    def on_adapter_format_start(self, recorder: Recorder, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        name = f"{type(instance).__name__}.format"
        _start(recorder, call_id, Kind.CHAIN, name, current_step(), None, {"hidden": True})

    @told
    def on_adapter_format_end(self, recorder: Recorder, call_id: str, outputs: Any, exception: Any = None) -> None:
        _end(recorder, call_id, None, exception)

    @told
    def on_adapter_parse_start(self, recorder: Recorder, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        name = f"{type(instance).__name__}.parse"
        _start(recorder, call_id, Kind.CHAIN, name, current_step(), None, {"hidden": True})

    @told
    def on_adapter_parse_end(self, recorder: Recorder, call_id: str, outputs: Any, exception: Any = None) -> None:
        _end(recorder, call_id, outputs, exception)


def _start(
    recorder: Recorder,
    call_id: str,
    kind: Kind,
    name: str,
    parent: OpenStep | None,
    given: Any,
    attributes: dict[str, Any] | None = None,
) -> None:
    if call_id in _open:
        return  # told by another callback of ours
    step = recorder.start(
        kind,
        name[:80],
        source=SOURCE,
        parent=parent,
        input=recorder.snapshot(_plain(given)),
        attributes=attributes,
    )
    _keep(call_id, step, None)


def _keep(call_id: str, step: OpenStep, model: Any) -> None:
    _open[call_id] = (step, model)
    while len(_open) > MAX_OPEN:
        _open.popitem(last=False)


def _end(recorder: Recorder, call_id: str, outputs: Any, exception: BaseException | None) -> None:
    found = _open.pop(call_id, None)
    if found is None:
        return
    step = found[0]
    _last_calls.pop(step.id, None)
    if exception is not None:
        _fail(recorder, step, exception)
    else:
        recorder.end(step, output=recorder.snapshot(outputs))


def _fail(recorder: Recorder, step: OpenStep, error: BaseException) -> None:
    if isinstance(error, StopWorkflow) or not isinstance(error, Exception):
        recorder.end(step, status=Status.CANCELLED)
    else:
        recorder.end(step, status=Status.ERROR, error=error)


def _agent_of(step: OpenStep) -> OpenStep | None:
    around: OpenStep | None = step
    while around is not None and around.kind is not Kind.AGENT:
        around = around.parent
    return around


def _module_kind(module: Any, parent: OpenStep | None) -> Kind:
    if isinstance(module, _classes("ReAct", "ReActV2", "CodeAct", "RLM")):
        return Kind.AGENT
    if isinstance(module, _classes("Retrieve")):
        return Kind.RETRIEVER
    return Kind.WORKFLOW if parent is None else Kind.CHAIN


def _classes(*names: str) -> tuple[type, ...]:
    found = (getattr(dspy, name, None) for name in names)
    return tuple(cls for cls in found if isinstance(cls, type))


def _arguments(inputs: dict[str, Any]) -> Any:
    """The arguments by name, without those that are plumbing."""
    named = {**inputs, **(inputs.get("kwargs") or {})}
    named.pop("kwargs", None)
    listed = named.pop("args", None)
    shown = {name: _plain(value) for name, value in named.items() if name not in ("signature", "demos", "lm", "config")}
    return {"args": listed, **shown} if listed else shown


def _plain(value: Any) -> Any:
    """Predictions and examples as their fields."""
    if isinstance(value, dspy.Example):  # a Prediction is one
        return dict(value.items())
    return value


_reported: set[str] = set()


def report(where: str, error: Exception) -> None:
    """Log a failure of ours once for each place: the run goes on without this event."""
    if where not in _reported:
        _reported.add(where)
        logger.error("%s recorded nothing (said once)", where, exc_info=error)
