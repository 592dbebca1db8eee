"""The middleware that records: agents, model calls and function tools."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from agent_framework import (
    AgentContext,
    AgentMiddleware,
    ChatContext,
    ChatMiddleware,
    FunctionInvocationContext,
    FunctionMiddleware,
    MiddlewareFailure,
    ResponseStream,
)
from treerings import StopWorkflow, runtime
from treerings.context import enter, leave
from treerings.own_steps import status_of
from treerings.streams import AsyncFollowed
from treerings.wrapping import Call

from .calls import AgentCall, ModelCall, ToolCall

__all__ = ["AGENT", "CHAT", "FUNCTION", "middleware"]

logger = logging.getLogger("treerings")

Next = Callable[[], Awaitable[None]]


def middleware() -> list[AgentMiddleware | ChatMiddleware | FunctionMiddleware]:
    """Records one agent: `Agent(..., middleware=treerings_agent_framework.middleware())`.

    Agents that it calls need their own. With `instrument` on it is not needed, and harmless.
    """
    return [AGENT, CHAT, FUNCTION]


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

    context.result = ResponseStream(AsyncFollowed(_Reader(stream, call), call), finalizer=final)


class _Reader:
    """Reads a `ResponseStream`, which has `close` where generators have `aclose`.

    No generator: one that nobody reads any more is closed in another task, where the framework's clean-up fails.
    """

    __slots__ = ("_call", "_stream")

    def __init__(self, stream: Any, call: Any) -> None:
        self._stream = stream
        self._call = call

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            _safely(self._call, self._call.finish, await self._stream.get_final_response())  # put together already
            raise

    async def aclose(self) -> None:
        await self._stream.close()
