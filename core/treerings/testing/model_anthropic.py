"""Anthropic's Messages format, whole and as a stream of events, and its errors, written by the model server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from treerings.testing.model_parts import Format, event, measure, pieces, remainder, tool_arguments, tool_call_id
from treerings.testing.model_script import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from treerings.testing.model_request import ModelRequest
    from treerings.testing.model_usage import UsageTotal

__all__ = ["MESSAGES", "anthropic_error", "token_count"]

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_SIGNATURE = "c2NyaXB0ZWQ="
_ERROR_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def _message(request: ModelRequest, answer: Answer, number: int) -> dict[str, Any]:
    """The `message` object."""
    total, given = measure(request, answer)
    reason = answer.finish_reason or ("tool_calls" if answer.tool_calls else "stop")
    if answer.refusal is not None:
        reason = "refusal"
    return {
        "id": f"msg_{number:06d}",
        "type": "message",
        "role": "assistant",
        "model": answer.model or request.model,
        "content": list(_blocks(answer, number)),
        "stop_reason": _STOP_REASONS.get(reason, reason),
        "stop_sequence": None,
        # a message without usage is none that the SDK can read: those that know no numbers send zeros
        "usage": _usage(total, given) if answer.report_usage else {"input_tokens": 0, "output_tokens": 0},
    }


def _blocks(answer: Answer, number: int) -> Iterator[dict[str, Any]]:
    if answer.reasoning:
        yield {"type": "thinking", "thinking": answer.reasoning, "signature": _SIGNATURE}
    if text := answer.text if answer.refusal is None else answer.refusal:
        yield {"type": "text", "text": text}
    for index, call in enumerate(answer.tool_calls):
        name = tool_call_id(call, number, index)
        yield {"type": "tool_use", "id": name, "name": call.name, "input": tool_arguments(call)}


def _usage(total: UsageTotal, given: Mapping[str, Any]) -> dict[str, Any]:
    """Anthropic counts what was read from the cache, or written to it, beside the input and not in it."""
    read, written = total.cache_read_tokens, total.cache_write_tokens
    usage: dict[str, Any] = {
        "input_tokens": remainder("input_tokens", total.input_tokens, read, written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": total.output_tokens,
        "service_tier": given.get("service_tier", "standard"),
    }
    if total.reasoning_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": total.reasoning_tokens}
    return usage


def _events(message: Mapping[str, Any], request: ModelRequest) -> list[bytes]:
    """The events of a stream that ends in this `message`: usage comes with the start, and whole with the end."""
    usage = message["usage"]
    begun = {key: value for key, value in usage.items() if key != "output_tokens_details"}
    begun["output_tokens"] = min(1, usage["output_tokens"])
    opened = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "usage": begun}
    ended = {key: usage[key] for key in usage if key.endswith("_tokens") or key == "output_tokens_details"}
    reason = {"stop_reason": message["stop_reason"], "stop_sequence": message.get("stop_sequence")}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": opened}, {"type": "ping"}]
    for index, block in enumerate(message["content"]):
        start, deltas = _deltas(block)
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": reason, "usage": ended})
    events.append({"type": "message_stop"})
    return [event(data, name=data["type"]) for data in events]


def _deltas(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A content block as it begins, and what is added to it."""
    kind = block["type"]
    if kind == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
    if kind == "thinking":
        added = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
        signed = {"type": "signature_delta", "signature": block["signature"]}
        return {**block, "thinking": "", "signature": ""}, [*added, signed]
    if kind in {"tool_use", "server_tool_use", "mcp_tool_use"}:
        given = block["input"]
        text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        parts = ["", *(text[start : start + 12] for start in range(0, len(text), 12))]
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]
    return dict(block), []


MESSAGES = Format(_message, _events)


def token_count(request: ModelRequest, number: int) -> tuple[dict[str, Any], None]:
    """The answer of `/messages/count_tokens`, which is no call of a model."""
    return {"input_tokens": measure(request, Answer())[0].input_tokens}, None


def anthropic_error(status: int, message: str, code: str | None) -> dict[str, Any]:
    """An error in Anthropic's shape; `code` stands in the place of its type."""
    kind = code or _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}}
