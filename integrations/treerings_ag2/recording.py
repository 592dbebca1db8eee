"""The middleware that records an agent: its turns, model calls, tools and questions to people."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

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
from ag2.middleware import BaseMiddleware
from ag2.utils import AGENT_CONTEXT_DEPENDENCY_KEY, MODEL_CONFIG_CONTEXT_DEPENDENCY_KEY
from treerings import Kind, Status, StopWorkflow, runtime
from treerings.claims import claim_call
from treerings.context import OpenStep, current_step, enter, leave

from . import payloads
from .runs import RUNS, Run, add, run_of

__all__ = ["Recorded", "middleware", "turn"]

logger = logging.getLogger("treerings")

SOURCE = "ag2"
UNNAMED = "model call"
"""The name of a call whose model is not known at its start."""
REQUEST = (
    "frequency_penalty",
    "max_completion_tokens",
    "max_tokens",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning_effort",
    "seed",
    "service_tier",
    "stop",
    "temperature",
    "top_k",
    "top_p",
)
PROVIDERS = {"gemini": "google", "vertexai": "google"}


def middleware(name: str | None = None) -> Recorded:
    """Records one agent: `Agent(..., middleware=[treerings_ag2.middleware()])`, first of all, or in a `Plugin`.

    `name` is shown for an agent whose context does not say it. Agents that it delegates to need their own. With
    `instrument` on it is not needed, and harmless.
    """
    return Recorded(name)


class Recorded:
    """Makes the recording middleware of each turn."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def __call__(self, event: BaseEvent, context: Any) -> Recording:
        return Recording(event, context, self)

    def agent_name(self, context: Any) -> str:
        """The agent's name: given here, or out of the context."""
        agent = context.dependencies.get(AGENT_CONTEXT_DEPENDENCY_KEY)
        name = self.name or getattr(agent, "name", None)
        return name if isinstance(name, str) else "agent"


class Recording(BaseMiddleware):
    """Records one turn. It changes nothing: what is called next gets what was given, and its result or error goes on."""

    def __init__(self, event: BaseEvent, context: Any, by: Recorded) -> None:
        super().__init__(event, context)
        self._by = by

    async def on_turn(self, call_next: Any, event: BaseEvent, context: Any) -> ModelResponse:
        result: ModelResponse = await turn(self._by, lambda: call_next(event, context), event, context)
        return result

    async def on_llm_call(self, call_next: Any, events: Sequence[BaseEvent], context: Any) -> ModelResponse:
        call = _begun(_call_started, self._by, events, context)
        if call is None:
            response: ModelResponse = await call_next(events, context)
            return response
        run, step = call
        token = enter(step)
        try:
            with _listening(context, (ModelMessageChunk, _first_token(step))):
                response = await call_next(events, context)
        except BaseException as error:
            _told(_call_failed, run, step, error)
            raise
        finally:
            leave(token)
        _told(_call_ended, run, step, response)
        return response

    async def on_tool_execution(self, call_next: Any, event: ToolCallEvent, context: Any) -> Any:
        step = _begun(_tool_started, self._by, event, context)
        if step is None:
            return await call_next(event, context)
        token = enter(step)
        try:
            result = await call_next(event, context)
        except BaseException as error:
            _told(_failed, step, error)
            raise
        finally:
            leave(token)
        _told(_tool_ended, step, result)
        return result

    async def on_human_input(self, call_next: Any, event: HumanInputRequest, context: Any) -> HumanMessage:
        step = _begun(_question_asked, self._by, event, context)
        if step is None:
            answered: HumanMessage = await call_next(event, context)
            return answered
        token = enter(step)
        try:
            answered = await call_next(event, context)
        except BaseException as error:
            _told(_failed, step, error)
            raise
        finally:
            leave(token)
        _told(_question_answered, step, answered)
        return answered


async def turn(by: Recorded, drive: Callable[[], Awaitable[Any]], event: BaseEvent, context: Any) -> Any:
    """Drive a turn within the step of its agent; a turn that has one already is only driven."""
    run = _begun(_turn_started, by, event, context)
    if run is None:
        return await drive()
    token = enter(run.step)
    try:
        with _listening(context, (UsageEvent, _maintenance(run)), (ToolResultEvent, _unseen_tool(run))):
            result = await drive()
    except BaseException as error:
        _told(_failed, run.step, error)
        raise
    finally:
        RUNS.pop(run.step.id, None)
        leave(token)
    _told(_turn_ended, run.step, result)
    return result


# -- turns ------------------------------------------------------------------------------------------------------------


def _turn_started(by: Recorded, event: BaseEvent, context: Any) -> Run | None:
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


def _turn_ended(step: OpenStep, result: Any) -> None:
    response = getattr(result, "response", result)
    output = response.content if isinstance(response, ModelResponse) else None
    runtime.current_recorder().end(step, output=payloads.taken(output))


def _maintenance(run: Run) -> Callable[[UsageEvent], Awaitable[None]]:
    """Hears of model calls that no middleware sees: compaction of the history, aggregation of memories."""

    async def heard(event: UsageEvent) -> None:
        if event.kind not in (
            "model_call",
            "subtask",
        ):  # those have their own steps, the second in the other agent's turn
            _told(_maintained, run, event)

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


def _unseen_tool(run: Run) -> Callable[[ToolResultEvent], Awaitable[None]]:
    """Hears of calls that reached no tool: there is none of that name, or a middleware refused it."""

    async def heard(event: ToolResultEvent) -> None:
        if event.parent_id not in run.done:
            _told(_tool_not_reached, run, event)

    return heard


def _tool_not_reached(run: Run, event: ToolResultEvent) -> None:
    step = runtime.current_recorder().start(
        Kind.TOOL,
        event.name or "tool",
        source=SOURCE,
        parent=run.step,
        attributes=run.tool_started(event.parent_id),
    )
    _tool_ended(step, event)


# -- model calls ------------------------------------------------------------------------------------------------------


def _call_started(by: Recorded, events: Sequence[BaseEvent], context: Any) -> tuple[Run | None, OpenStep] | None:
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
        settings = {name: getattr(config, name, None) for name in REQUEST}
    except Exception:  # as in _said
        return {}
    return {name: value for name, value in settings.items() if isinstance(value, str | int | float | list)}


def _first_token(step: OpenStep) -> Callable[[ModelMessageChunk], Awaitable[None]]:
    spoke = False

    async def heard(event: ModelMessageChunk) -> None:
        nonlocal spoke
        if not spoke:
            spoke = True
            recorder = runtime.current_recorder()
            recorder.update(step, first_token_ns=recorder.clock.monotonic_ns())

    return heard


def _call_ended(run: Run | None, step: OpenStep, response: ModelResponse) -> None:
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


def _call_failed(run: Run | None, step: OpenStep, error: BaseException) -> None:
    if run is not None and isinstance(error, Exception):
        run.failed_calls += 1
    _failed(step, error)


# -- tools and people -------------------------------------------------------------------------------------------------


def _tool_started(by: Recorded, event: ToolCallEvent, context: Any) -> OpenStep | None:
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


def _tool_ended(step: OpenStep, result: Any) -> None:
    """Errors of tools are returned, not raised."""
    if isinstance(result, ToolErrorEvent):
        _failed(step, result.error)
        return
    output = payloads.result(result) if isinstance(result, ToolResultEvent) else None
    runtime.current_recorder().end(step, output=payloads.taken(output))


def _question_asked(by: Recorded, event: HumanInputRequest, context: Any) -> OpenStep | None:
    recorder = runtime.current_recorder()
    run = run_of(context.stream)
    if not recorder.enabled or (run is not None and run.by is not by):
        return None
    return recorder.start(
        Kind.HUMAN, "user_input", source=SOURCE, parent=current_step(), input=payloads.taken(event.content)
    )


def _question_answered(step: OpenStep, answered: HumanMessage) -> None:
    runtime.current_recorder().end(step, output=payloads.taken(answered.content))


def _failed(step: OpenStep, error: BaseException) -> None:
    cancelled = not isinstance(error, Exception) or isinstance(error, StopWorkflow)
    runtime.current_recorder().end(
        step,
        status=Status.CANCELLED if cancelled else Status.ERROR,
        error=error if isinstance(error, Exception) else None,
    )


# -- never in the way -------------------------------------------------------------------------------------------------


def _begun(begin: Callable[..., Any], *given: Any) -> Any:
    try:
        return begin(*given)
    except StopWorkflow:
        raise
    except Exception as error:  # a bug of ours is no reason to stop the program
        logger.error("A call of an ag2 agent is not recorded", exc_info=error)
        return None


def _told(tell: Callable[..., None], *given: Any) -> None:
    try:
        tell(*given)
    except Exception as error:  # as in _begun
        logger.error("What an ag2 agent did is not recorded", exc_info=error)


def _listening(context: Any, *wanted: tuple[Any, Callable[..., Any]]) -> AbstractContextManager[Any]:
    """Hear these events of the stream for a while. They are only counted on to come, not to come in order."""
    stack = ExitStack()
    try:
        for kind, heard in wanted:
            stack.enter_context(context.stream.where(kind).sub_scope(heard))
    except Exception as error:  # a stream of the program's own making
        logger.error("The events of an ag2 agent are not recorded", exc_info=error)
    return stack
