"""The middleware that records: agents, model calls and function tools."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from agent_framework import (
    AgentContext,
    AgentMiddleware,
    ChatContext,
    ChatMiddleware,
    FunctionInvocationContext,
    FunctionMiddleware,
    MiddlewareBundle,
    MiddlewareFailure,
    ResponseStream,
)
from treerings import StopWorkflow, runtime
from treerings.context import enter, leave
from treerings.own_steps import status_of
from treerings.streams import follow_async_generator
from treerings.wrapping import Call

from .calls import AgentCall, ModelCall, ToolCall

__all__ = ["AGENT", "CHAT", "FUNCTION", "middleware"]

logger = logging.getLogger("treerings")

Next = Callable[[], Awaitable[None]]


def middleware() -> MiddlewareBundle:
    """Records one agent: `Agent(..., middleware=[treerings_agent_framework.middleware()])`.

    Agents that it calls need their own. With `instrument` on it is not needed, and harmless.
    """
    return MiddlewareBundle([AGENT, CHAT, FUNCTION])


class RecordedAgent(AgentMiddleware):
    """Records each run of an agent."""

    async def process(self, context: AgentContext, call_next: Next) -> None:
        await _recorded(AgentCall.begin, context, call_next)


class RecordedChat(ChatMiddleware):
    """Records each model call."""

    async def process(self, context: ChatContext, call_next: Next) -> None:
        await _recorded(ModelCall.begin, context, call_next)


class RecordedFunction(FunctionMiddleware):
    """Records each call of a function tool."""

    async def process(self, context: FunctionInvocationContext, call_next: Next) -> None:
        try:
            await _recorded(ToolCall.begin, context, call_next)
        except StopWorkflow as stop:
            if isinstance(stop, MiddlewareFailure):
                raise
            raise Stopped(str(stop)) from stop


class Stopped(StopWorkflow, MiddlewareFailure):
    """A guard stopped a tool, or what runs in it. The framework tells the model of any other error and goes on."""


AGENT = RecordedAgent()
CHAT = RecordedChat()
FUNCTION = RecordedFunction()

_inside: ContextVar[Any] = ContextVar("treerings_agent_framework", default=None)
"""The innermost context that is recorded: an agent may have the middleware twice."""


async def _recorded(begin: Callable[[Any], Any], context: Any, call_next: Next) -> None:
    call = None if _inside.get() is context else _begun(begin, context)
    if call is None:
        await call_next()
        return
    token, inside = enter(call.step), _inside.set(context)
    try:
        await call_next()
    except BaseException as error:
        _safely(call, call.fail, error)
        raise
    finally:
        leave(token)
        _inside.reset(inside)
    if isinstance(context.result, ResponseStream):
        _follow(call, context)
    else:
        _safely(call, call.finish, context.result)


def _begun(begin: Callable[[Any], Any], context: Any) -> Any:
    try:
        return begin(context) if runtime.current_recorder().enabled else None
    except StopWorkflow:
        raise
    except Exception as error:  # a bug of ours is no reason to stop the program
        logger.error("A call of the Agent Framework is not recorded", exc_info=error)
        return None


def _safely(call: Call, tell: Callable[[Any], Any], told: Any) -> None:
    try:
        tell(told)
    except Exception as error:  # as in _begun
        logger.error("The end of a call of the Agent Framework is not recorded as it was", exc_info=error)
        failure = told if isinstance(told, BaseException) else None
        call.end(status=status_of(failure), error=failure)


def _follow(call: Any, context: Any) -> None:
    """Put a stream of the same type around the result: it reads when it is read, and gives the same final response."""
    stream: Any = context.result

    async def final(_: Any) -> Any:
        return await stream.get_final_response()

    context.result = ResponseStream(follow_async_generator(_read(stream), call), finalizer=final)


async def _read(stream: Any) -> AsyncGenerator[Any, None]:
    """A `ResponseStream` has `close` where generators have `aclose`."""
    try:
        async for update in stream:
            yield update
    finally:
        await stream.close()
