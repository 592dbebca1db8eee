"""LlamaIndex's objects as plain data: messages, nodes, answers, events of workflows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llama_index.core.agent.workflow.workflow_events import AgentOutput
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.chat_engine.types import AgentChatResponse, StreamingAgentChatResponse
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle
from llama_index.core.tools.types import ToolOutput
from treerings.snapshot import Budget, snapshot
from treerings.usage_formats.reading import member
from workflows.events import Event, StartEvent, StopEvent

__all__ = ["event", "message", "messages", "nodes", "plain", "stream_of", "take", "text_of"]

MAX_NODES = 100
MAX_NODE_CHARS = 8_000

_EMPTY: tuple[Any, ...] = (None, "", [], {})


def take(value: Any, ask: Callable[[Any], Any] | None = None) -> Any:
    """`value` as plain bounded data; plugins (`ask`) come before our own reading."""
    if ask is None:
        return snapshot(value, budget=Budget(), serialize=plain)

    def serialize(item: Any) -> Any:
        given = ask(item)
        return plain(item) if given is None else given

    return snapshot(value, budget=Budget(), serialize=serialize)


def plain(value: Any) -> Any | None:
    """The plain form of an object of LlamaIndex; None for other objects. Streams are named, never read."""
    for kinds, convert in _FORMS:
        if isinstance(value, kinds):
            return convert(value)
    return None


def message(item: ChatMessage) -> dict[str, Any]:
    """Role, content, tool calls and tool-call id of a chat message."""
    role = item.role
    taken: dict[str, Any] = {"role": getattr(role, "value", role)}
    texts: list[str] = []
    parts: list[Any] = []
    calls: list[dict[str, Any]] = []
    for block in item.blocks:
        kind = getattr(block, "block_type", None)
        if kind == "text":
            texts.append(block.text)  # type: ignore[union-attr]  # told by its block_type
            parts.append({"type": "text", "text": texts[-1]})
        elif kind == "tool_call":
            calls.append(_tool_call(block))
        elif kind == "thinking":
            taken["reasoning"] = getattr(block, "content", None)
        else:
            parts.append(block)
    taken["content"] = "".join(texts) if len(texts) == len(parts) else parts
    extra = item.additional_kwargs
    if not calls and isinstance(extra.get("tool_calls"), list):
        calls = [_told_call(call) for call in extra["tool_calls"]]
    if calls:
        taken["tool_calls"] = calls
    if extra.get("tool_call_id"):
        taken["tool_call_id"] = extra["tool_call_id"]
    if extra.get("name"):
        taken["name"] = extra["name"]
    return taken


def messages(items: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    return [message(item) for item in items]


def nodes(items: Any) -> Any:
    """Retrieved nodes, the first hundred: id, score, text, metadata; no embeddings."""
    if not isinstance(items, list):
        return None
    taken = [plain(item) for item in items[:MAX_NODES]]
    if len(items) > MAX_NODES:
        taken.append(f"… {len(items) - MAX_NODES} more nodes")
    return taken


def event(item: Event) -> Any:
    """What an event of a workflow carries, without the raw answers of providers; a stop event's own result."""
    if type(item) is StopEvent:
        return item.result
    fields = {name: getattr(item, name, None) for name in type(item).model_fields if name != "raw"}
    fields.update(getattr(item, "_data", None) or {})
    kept = {name: value for name, value in fields.items() if not _is_empty(value)}
    return kept if isinstance(item, StartEvent | StopEvent) else {"event": type(item).__name__, **kept}


def text_of(response: Any) -> Any:
    """What a model said: a message with role and content, or a completion's text."""
    if isinstance(response, ChatResponse):
        return message(response.message)
    if isinstance(response, CompletionResponse):
        return response.text
    return None


def stream_of(result: Any) -> Any:
    """The generator that an answer is still to be read from; None where the answer is whole."""
    if isinstance(result, StreamingResponse | AsyncStreamingResponse):
        return result.response_gen
    if isinstance(result, StreamingAgentChatResponse):
        return result.chat_stream if result.chat_stream is not None else result.achat_stream
    return None


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _tool_call(block: Any) -> dict[str, Any]:
    return {"id": block.tool_call_id, "name": block.tool_name, "args": block.tool_kwargs}


def _told_call(call: Any) -> Any:
    """A provider's own tool call, an object or a dictionary."""
    function = member(call, "function")
    if function is None:
        return call
    return {"id": member(call, "id"), "name": member(function, "name"), "args": member(function, "arguments")}


def _scored(item: NodeWithScore) -> dict[str, Any]:
    return {**_node(item.node), "score": item.score}


def _node(item: BaseNode) -> dict[str, Any]:
    text = getattr(item, "text", None)
    if isinstance(text, str) and len(text) > MAX_NODE_CHARS:
        text = f"{text[:MAX_NODE_CHARS]}… [{len(text) - MAX_NODE_CHARS} more characters]"
    return {"id": item.node_id, "content": text, "metadata": item.metadata}


def _output(item: AgentOutput) -> Any:
    said = message(item.response)
    if item.structured_response:
        said["structured_response"] = item.structured_response
    return said


def _tool_output(item: ToolOutput) -> Any:
    return item.content


_FORMS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (ChatMessage, message),
    (NodeWithScore, _scored),
    (BaseNode, _node),
    (QueryBundle, lambda item: item.query_str),
    # str() of a streaming answer would read the user's stream
    ((StreamingResponse, AsyncStreamingResponse, StreamingAgentChatResponse), lambda item: f"<{type(item).__name__}>"),
    ((Response, PydanticResponse, AgentChatResponse), lambda item: item.response),
    (ToolOutput, _tool_output),
    (AgentOutput, _output),
    (Event, event),
    ((ChatResponse, CompletionResponse), text_of),
)
