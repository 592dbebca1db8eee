"""haystack's messages and documents as plain data: without embeddings, without settings."""

from __future__ import annotations

from typing import Any

from haystack import Document
from haystack.dataclasses import ChatMessage, ToolCall, ToolCallResult

__all__ = ["plain"]


def plain(value: Any) -> Any | None:
    """The plain form of a message, a document or a tool call; None for anything else."""
    if isinstance(value, ChatMessage):
        message: dict[str, Any] = {"role": value.role.value, "content": value.text}
        if value.tool_calls:
            message["tool_calls"] = [plain(call) for call in value.tool_calls]
        results = value.tool_call_results
        if results:
            message["content"] = [plain(result) for result in results] if len(results) > 1 else results[0].result
            message["tool_call_id"] = results[0].origin.id
        if value.images:
            message["images"] = len(value.images)
        if value.reasoning is not None:
            message["reasoning"] = value.reasoning.reasoning_text
        return message
    if isinstance(value, Document):
        found = {"id": value.id, "content": value.content, "score": value.score, "meta": value.meta or None}
        return {name: item for name, item in found.items() if item is not None}
    if isinstance(value, ToolCall):
        return {"id": value.id, "name": value.tool_name, "arguments": value.arguments}
    if isinstance(value, ToolCallResult):
        return {"tool_call_id": value.origin.id, "content": value.result, "error": value.error}
    return None
