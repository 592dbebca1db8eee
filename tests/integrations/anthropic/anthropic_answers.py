"""Answers as Anthropic sends them, and questions to send: whole messages, streams of events, failures."""

from __future__ import annotations

import json
from typing import Any

from treerings.testing.recordings import Call

URL = "https://api.anthropic.com/v1/messages"
MODEL = "claude-sonnet-4-6"
ASK: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "How old is the oak?"}],
}
USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    "cache_read_input_tokens": 100,
    "output_tokens": 7,
    "service_tier": "standard",
}
RING_COUNT = {
    "name": "ring_count",
    "description": "Count the rings.",
    "input_schema": {"type": "object", "properties": {"tree": {"type": "string"}}},
}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def tool_use(name: str = "ring_count", id: str = "toolu_1", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": arguments}


def message(*blocks: dict[str, Any], usage: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    content = list(blocks) or [text("112 rings.")]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": "tool_use" if content[-1]["type"] == "tool_use" else "end_turn",
        "stop_sequence": None,
        "usage": USAGE if usage is None else usage,
        **more,
    }


def whole(*blocks: dict[str, Any], **more: Any) -> Call:
    return Call(URL, 200, {}, message(*blocks, **more))


def events(*blocks: dict[str, Any], usage: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """What a stream consists of: the start with the input's count, each block in pieces, the count of the output."""
    reported = USAGE if usage is None else usage
    final = message(*blocks)
    told: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {**final, "content": [], "stop_reason": None, "usage": {**reported, "output_tokens": 1}},
        },
        {"type": "ping"},
    ]
    for index, block in enumerate(final["content"]):
        empty, deltas = _pieces(block)
        told.append({"type": "content_block_start", "index": index, "content_block": empty})
        told += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        told.append({"type": "content_block_stop", "index": index})
    told.append(
        {
            "type": "message_delta",
            "delta": {"stop_reason": final["stop_reason"], "stop_sequence": None},
            "usage": {"output_tokens": reported["output_tokens"]},
        }
    )
    return [*told, {"type": "message_stop"}]


def streamed(*blocks: dict[str, Any], usage: dict[str, Any] | None = None, cut: int | None = None) -> Call:
    """The events as a stream; `cut` of them only, and then what a provider says that has too much to do."""
    told = events(*blocks, usage=usage)
    if cut is not None:
        told = [*told[:cut], {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}]
    return Call(URL, 200, {}, "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in told))


def failed(status: int, kind: str, said: str) -> Call:
    return Call(URL, status, {}, {"type": "error", "error": {"type": kind, "message": said}})


def _pieces(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if block["type"] == "text":
        half = len(block["text"]) // 2
        parts = (block["text"][:half], block["text"][half:])
        return {**block, "text": ""}, [{"type": "text_delta", "text": part} for part in parts]
    if block["type"] == "thinking":
        thinking = {"type": "thinking_delta", "thinking": block["thinking"]}
        return {"type": "thinking", "thinking": "", "signature": ""}, [
            thinking,
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    arguments = json.dumps(block["input"])
    parts = (arguments[:4], arguments[4:])
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]
