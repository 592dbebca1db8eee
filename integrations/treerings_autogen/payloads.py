"""AutoGen's messages, tasks and results as plain data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResultMessage,
    SystemMessage,
    UserMessage,
)
from pydantic import BaseModel
from treerings import runtime

__all__ = ["answer", "document", "model_messages", "result", "taken", "task", "tool_result"]

MAX_PARSED = 100_000


def taken(value: Any) -> Any:
    """A payload as the recorder keeps it; None stays None."""
    return None if value is None else runtime.current_recorder().snapshot(value)


def task(value: Any) -> Any:
    """The task of an agent or a team: a text, a message, or several."""
    if isinstance(value, BaseChatMessage | BaseAgentEvent):
        return _message(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_message(item) for item in value]
    return value


def result(value: Any) -> Any:
    """The last message of a response or of a task's result."""
    if isinstance(value, Response):
        return _message(value.chat_message)
    if isinstance(value, TaskResult):
        return _message(value.messages[-1]) if value.messages else None
    return value


def tool_result(value: Any) -> Any:
    """What a tool returned; the whole conversation of an agent or a team that ran as a tool is in its own steps."""
    return result(value) if isinstance(value, TaskResult) else value


def document(found: Any) -> Any:
    """A memory's content, and what is known of it."""
    plain = {"content": _content(getattr(found, "content", found))}
    metadata = getattr(found, "metadata", None)
    return {**plain, "metadata": metadata} if metadata else plain


def _message(item: Any) -> Any:
    if not isinstance(item, BaseChatMessage | BaseAgentEvent):
        return item
    plain: dict[str, Any] = {"role": item.source, "content": _content(getattr(item, "content", None))}
    target = getattr(item, "target", None)
    if isinstance(target, str):
        plain["target"] = target
    return plain


def _content(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return [_content(item) for item in value]
    if isinstance(value, Image):
        return "<image>"
    if isinstance(value, FunctionCall):
        return _call(value)
    if isinstance(value, BaseModel):
        return dict(value.__dict__)
    return value


def _call(call: FunctionCall) -> dict[str, Any]:
    arguments: Any = call.arguments
    if isinstance(arguments, str) and len(arguments) < MAX_PARSED:
        try:
            arguments = json.loads(arguments)
        except ValueError:  # what a model wrote need not be JSON
            pass
    return {"id": call.id, "name": call.name, "args": arguments}


def model_messages(messages: Sequence[Any]) -> list[Any]:
    """The prompt of a model call, one dictionary a message."""
    plain: list[Any] = []
    for item in messages:
        if isinstance(item, SystemMessage):
            plain.append({"role": "system", "content": item.content})
        elif isinstance(item, UserMessage):
            plain.append({"role": "user", "content": _content(item.content), "name": item.source})
        elif isinstance(item, AssistantMessage):
            plain.append(_assistant(item.content, item.thought))
        elif isinstance(item, FunctionExecutionResultMessage):
            for done in item.content:
                one = {"role": "tool", "content": done.content, "name": done.name, "tool_call_id": done.call_id}
                plain.append({**one, "status": "error"} if done.is_error else one)
        else:
            plain.append(item)
    return plain


def answer(made: CreateResult) -> dict[str, Any]:
    """The answer of a model call: content, tool calls, thought."""
    return _assistant(made.content, made.thought)


def _assistant(content: Any, thought: str | None) -> dict[str, Any]:
    plain: dict[str, Any] = {"role": "assistant", "content": content if isinstance(content, str) else ""}
    if isinstance(content, list):
        plain["tool_calls"] = [_call(call) if isinstance(call, FunctionCall) else call for call in content]
    if thought:
        plain["reasoning"] = thought
    return plain
