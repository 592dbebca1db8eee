"""What is told of an agent's turn: its events translated into steps."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from ag2.events import (
    BaseEvent,
    HumanInputRequest,
    HumanMessage,
    ModelMessageChunk,
    ModelResponse,
    ToolCallEvent,
    ToolErrorEvent,
    ToolResultEvent,
    UsageEvent,
)
from ag2.utils import MODEL_CONFIG_CONTEXT_DEPENDENCY_KEY
from treerings import Kind, Status, StopWorkflow, runtime
from treerings.claims import claim_call
from treerings.context import OpenStep, current_step
from treerings.request_parameters import REQUEST_PARAMETERS

from . import payloads
from .runs import Run, add, run_of

if TYPE_CHECKING:
    from .recording import Recorded

__all__ = [
    "call_ended",
    "call_failed",
    "call_started",
    "failed",
    "first_token",
    "maintenance",
    "question_answered",
    "question_asked",
    "told",
    "tool_ended",
    "tool_started",
    "turn_ended",
    "turn_started",
    "unseen_tool",
]

logger = logging.getLogger("treerings")

SOURCE = "ag2"
UNNAMED = "model call"
"""The name of a call whose model is not known at its start."""
PROVIDERS = {"gemini": "google", "vertexai": "google"}


def told(tell: Callable[..., None], *given: Any) -> None:
    try:
        tell(*given)
    except Exception as error:  # as in _begun
        logger.error("What an ag2 agent did is not recorded", exc_info=error)


# -- turns ------------------------------------------------------------------------------------------------------------


def turn_started(by: Recorded, event: BaseEvent, context: Any) -> Run | None:
    recorder = runtime.current_recorder()
    if not recorder.enabled or run_of(context.stream) is not None:
        return None
    step = recorder.start(
        Kind.AGENT,
        by.agent_name(context),
        source=SOURCE,
        parent=current_step(),
        input=payloads.taken(payloads.request(event)),
    )
    run = Run(step, context.stream, by)
    add(run)
    return run


def turn_ended(step: OpenStep, result: Any) -> None:
    response = getattr(result, "response", result)
    output = response.content if isinstance(response, ModelResponse) else None
    runtime.current_recorder().end(step, output=payloads.taken(output))


def maintenance(run: Run) -> Callable[[UsageEvent], Awaitable[None]]:
    """Hears of model calls that no middleware sees: compaction of the history, aggregation of memories."""

    async def heard(event: UsageEvent) -> None:
        if event.kind not in (
            "model_call",
            "subtask",
        ):  # those have their own steps, the second in the other agent's turn
            told(_maintained, run, event)

    return heard


def _maintained(run: Run, event: UsageEvent) -> None:
    recorder = runtime.current_recorder()
    usage = payloads.counted(event.usage, event.provider)
    attributes = {"purpose": event.kind}
    claimed = claim_call(run.step.workflow_id, parent=run.step)
    if claimed is not None:
        recorder.update(claimed, usage=usage, model=event.model, attributes=attributes)
        return
    provider = PROVIDERS.get(event.provider or "", event.provider)
    step = recorder.start(
        Kind.LLM,
        event.kind,
        source=SOURCE,
        parent=run.step,
        model=event.model,
        provider=provider,
        attributes=attributes,
    )
    recorder.end(step, usage=usage)


def unseen_tool(run: Run) -> Callable[[ToolResultEvent], Awaitable[None]]:
    """Hears of calls that reached no tool: there is none of that name, or a middleware refused it."""

    async def heard(event: ToolResultEvent) -> None:
        if event.parent_id not in run.done:
            told(_tool_not_reached, run, event)

    return heard


def _tool_not_reached(run: Run, event: ToolResultEvent) -> None:
    step = runtime.current_recorder().start(
        Kind.TOOL,
        event.name or "tool",
        source=SOURCE,
        parent=run.step,
        attributes=run.tool_started(event.parent_id),
    )
    tool_ended(step, event)


# -- model calls ------------------------------------------------------------------------------------------------------


def call_started(by: Recorded, events: Sequence[BaseEvent], context: Any) -> tuple[Run | None, OpenStep] | None:
    recorder = runtime.current_recorder()
    run = run_of(context.stream)
    if not recorder.enabled or (run is not None and run.by is not by):
        return None
    config = context.dependencies.get(MODEL_CONFIG_CONTEXT_DEPENDENCY_KEY)
    model, provider = _said(config, "model"), _said(config, "provider")
    attributes: dict[str, Any] = {}
    if settings := _settings(config):
        attributes["request"] = recorder.snapshot(settings)
    if run is not None and run.failed_calls:
        attributes["attempt"] = run.failed_calls + 1
    step = recorder.start(
        Kind.LLM,
        model or UNNAMED,
        source=SOURCE,
        parent=current_step(),
        input=payloads.taken(payloads.messages(context.prompt, events)),
        model=model,
        provider=PROVIDERS.get(provider, provider) if provider else None,
        attributes=attributes or None,
    )
    return run, step


def _said(config: Any, name: str) -> str | None:
    try:
        value = getattr(config, name, None)
    except Exception:  # a configuration need not know: `NotImplementedError`
        return None
    value = getattr(value, "value", value)
    return value if isinstance(value, str) else None


def _settings(config: Any) -> dict[str, Any]:
    """The sampling parameters; by name, for a configuration has its key and headers beside them."""
    try:
        settings = {name: getattr(config, name, None) for name in REQUEST_PARAMETERS}
    except Exception:  # as in _said
        return {}
    return {name: value for name, value in settings.items() if isinstance(value, str | int | float | list)}


def first_token(step: OpenStep) -> Callable[[ModelMessageChunk], Awaitable[None]]:
    spoke = False

    async def heard(event: ModelMessageChunk) -> None:
        nonlocal spoke
        if not spoke:
            spoke = True
            recorder = runtime.current_recorder()
            recorder.update(step, first_token_ns=recorder.clock.monotonic_ns())

    return heard


def call_ended(run: Run | None, step: OpenStep, response: ModelResponse) -> None:
    if run is not None:
        run.failed_calls = 0
        for call in response.tool_calls.calls:
            run.asked(call.id, step)
    said = {"finish_reason": response.finish_reason, "response_id": response.response_id}
    provider = response.provider
    runtime.current_recorder().end(
        step,
        output=payloads.taken(payloads.answer(response)),
        usage=payloads.counted(response.usage, provider),
        model=response.model,
        name=response.model if step.name == UNNAMED else None,
        provider=PROVIDERS.get(provider, provider) if provider else None,
        attributes={name: value for name, value in said.items() if value is not None} or None,
    )


def call_failed(run: Run | None, step: OpenStep, error: BaseException) -> None:
    if run is not None and isinstance(error, Exception):
        run.failed_calls += 1
    failed(step, error)


# -- tools and people -------------------------------------------------------------------------------------------------


def tool_started(by: Recorded, event: ToolCallEvent, context: Any) -> OpenStep | None:
    recorder = runtime.current_recorder()
    run = run_of(context.stream)
    if not recorder.enabled or (run is not None and run.by is not by):
        return None
    return recorder.start(
        Kind.TOOL,
        event.name,
        source=SOURCE,
        parent=current_step(),
        input=payloads.taken(payloads.arguments(event.arguments)),
        attributes={"tool_call_id": event.id} if run is None else run.tool_started(event.id),
    )


def tool_ended(step: OpenStep, result: Any) -> None:
    """Errors of tools are returned, not raised."""
    if isinstance(result, ToolErrorEvent):
        failed(step, result.error)
        return
    output = payloads.result(result) if isinstance(result, ToolResultEvent) else None
    runtime.current_recorder().end(step, output=payloads.taken(output))


def question_asked(by: Recorded, event: HumanInputRequest, context: Any) -> OpenStep | None:
    recorder = runtime.current_recorder()
    run = run_of(context.stream)
    if not recorder.enabled or (run is not None and run.by is not by):
        return None
    return recorder.start(
        Kind.HUMAN, "user_input", source=SOURCE, parent=current_step(), input=payloads.taken(event.content)
    )


def question_answered(step: OpenStep, answered: HumanMessage) -> None:
    runtime.current_recorder().end(step, output=payloads.taken(answered.content))


def failed(step: OpenStep, error: BaseException) -> None:
    cancelled = not isinstance(error, Exception) or isinstance(error, StopWorkflow)
    runtime.current_recorder().end(
        step,
        status=Status.CANCELLED if cancelled else Status.ERROR,
        error=error if isinstance(error, Exception) else None,
    )
