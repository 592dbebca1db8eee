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
    ToolResultEvent,
    UsageEvent,
)
from ag2.middleware import BaseMiddleware
from ag2.utils import AGENT_CONTEXT_DEPENDENCY_KEY
from treerings import StopWorkflow
from treerings.context import enter, leave

from .runs import RUNS
from .telling import (
    call_ended,
    call_failed,
    call_started,
    failed,
    first_token,
    maintenance,
    question_answered,
    question_asked,
    told,
    tool_ended,
    tool_started,
    turn_ended,
    turn_started,
    unseen_tool,
)

__all__ = ["Recorded", "middleware", "turn"]

logger = logging.getLogger("treerings")


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
        call = _begun(call_started, self._by, events, context)
        if call is None:
            response: ModelResponse = await call_next(events, context)
            return response
        run, step = call
        token = enter(step)
        try:
            with _listening(context, (ModelMessageChunk, first_token(step))):
                response = await call_next(events, context)
        except BaseException as error:
            told(call_failed, run, step, error)
            raise
        finally:
            leave(token)
        told(call_ended, run, step, response)
        return response

    async def on_tool_execution(self, call_next: Any, event: ToolCallEvent, context: Any) -> Any:
        step = _begun(tool_started, self._by, event, context)
        if step is None:
            return await call_next(event, context)
        token = enter(step)
        try:
            result = await call_next(event, context)
        except BaseException as error:
            told(failed, step, error)
            raise
        finally:
            leave(token)
        told(tool_ended, step, result)
        return result

    async def on_human_input(self, call_next: Any, event: HumanInputRequest, context: Any) -> HumanMessage:
        step = _begun(question_asked, self._by, event, context)
        if step is None:
            answered: HumanMessage = await call_next(event, context)
            return answered
        token = enter(step)
        try:
            answered = await call_next(event, context)
        except BaseException as error:
            told(failed, step, error)
            raise
        finally:
            leave(token)
        told(question_answered, step, answered)
        return answered


async def turn(by: Recorded, drive: Callable[[], Awaitable[Any]], event: BaseEvent, context: Any) -> Any:
    """Drive a turn within the step of its agent; a turn that has one already is only driven."""
    run = _begun(turn_started, by, event, context)
    if run is None:
        return await drive()
    token = enter(run.step)
    try:
        with _listening(context, (UsageEvent, maintenance(run)), (ToolResultEvent, unseen_tool(run))):
            result = await drive()
    except BaseException as error:
        told(failed, run.step, error)
        raise
    finally:
        RUNS.pop(run.step.id, None)
        leave(token)
    told(turn_ended, run.step, result)
    return result


# -- never in the way -------------------------------------------------------------------------------------------------


def _begun(begin: Callable[..., Any], *given: Any) -> Any:
    try:
        return begin(*given)
    except StopWorkflow:
        raise
    except Exception as error:  # a bug of ours is no reason to stop the program
        logger.error("A call of an ag2 agent is not recorded", exc_info=error)
        return None


def _listening(context: Any, *wanted: tuple[Any, Callable[..., Any]]) -> AbstractContextManager[Any]:
    """Hear these events of the stream for a while. They are only counted on to come, not to come in order."""
    stack = ExitStack()
    try:
        for kind, heard in wanted:
            stack.enter_context(context.stream.where(kind).sub_scope(heard))
    except Exception as error:  # a stream of the program's own making
        logger.error("The events of an ag2 agent are not recorded", exc_info=error)
    return stack
