"""OpenAI's Responses format, whole and as a stream of events, written by the model server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from treerings.testing.model_parts import CREATED, Format, event, measure, pieces, tool_call_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from treerings.testing.model_request import ModelRequest
    from treerings.testing.model_script import Answer

__all__ = ["RESPONSES"]


def _response_object(request: ModelRequest, answer: Answer, number: int) -> dict[str, Any]:
    """The finished `response` object."""
    total, given = measure(request, answer)
    usage = {
        "input_tokens": total.input_tokens,
        "input_tokens_details": {
            "cached_tokens": total.cache_read_tokens,
            "cache_write_tokens": total.cache_write_tokens,
        },
        "output_tokens": total.output_tokens,
        "output_tokens_details": {"reasoning_tokens": total.reasoning_tokens},
        "total_tokens": total.total_tokens,
    }
    cut = answer.finish_reason in {"length", "content_filter"}
    reason = "max_output_tokens" if answer.finish_reason == "length" else "content_filter"
    return {
        "id": f"resp_{number:06d}",
        "object": "response",
        "created_at": CREATED,
        "status": "incomplete" if cut else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if cut else None,
        "instructions": request.data.get("instructions"),
        "max_output_tokens": request.data.get("max_output_tokens"),
        "model": answer.model or request.model,
        "output": list(_output(answer, number)),
        "parallel_tool_calls": True,
        "previous_response_id": request.data.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": given.get("service_tier", "default"),
        "store": request.data.get("store", True),
        "temperature": request.data.get("temperature", 1.0),
        "text": request.data.get("text") or {"format": {"type": "text"}},
        "tool_choice": request.data.get("tool_choice") or "auto",
        "tools": request.data.get("tools") or [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage if answer.report_usage else None,
        "user": None,
        "metadata": request.data.get("metadata") or {},
    }


def _output(answer: Answer, number: int) -> Iterator[dict[str, Any]]:
    if answer.reasoning:
        summary = [{"type": "summary_text", "text": answer.reasoning}]
        yield {"id": f"rs_{number:06d}", "type": "reasoning", "summary": summary}
    part: dict[str, Any] = {"type": "output_text", "annotations": [], "logprobs": [], "text": answer.text}
    if answer.refusal is not None:
        part = {"type": "refusal", "refusal": answer.refusal}
    if answer.text or answer.refusal is not None or not answer.tool_calls:
        message = {"id": f"msg_{number:06d}", "type": "message", "status": "completed", "role": "assistant"}
        yield {**message, "content": [part]}
    for index, call in enumerate(answer.tool_calls):
        yield {
            "id": f"fc_{number:06d}_{index}",
            "type": "function_call",
            "status": "completed",
            "arguments": call.arguments_json,
            "call_id": tool_call_id(call, number, index),
            "name": call.name,
        }


def _response_events(response: Mapping[str, Any], request: ModelRequest) -> list[bytes]:
    """The events of a stream that ends in this `response` object, numbered in order."""
    opened = {**response, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": opened},
        {"type": "response.in_progress", "response": opened},
    ]
    for index, item in enumerate(response["output"]):
        events += _item_events(index, item)
    last = "response.incomplete" if response.get("status") == "incomplete" else "response.completed"
    events.append({"type": last, "response": dict(response)})
    return [event({**data, "sequence_number": number}, name=data["type"]) for number, data in enumerate(events)]


RESPONSES = Format(_response_object, _response_events)


def _item_events(index: int, item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    kind = item["type"]
    opened = {
        **item,
        **{key: "" if key == "arguments" else [] for key in ("arguments", "content", "summary") if key in item},
    }
    if "status" in item:
        opened["status"] = "in_progress"
    at = {"item_id": item["id"], "output_index": index}
    yield {"type": "response.output_item.added", "output_index": index, "item": opened}
    if kind == "function_call":
        arguments = item["arguments"]
        for start in range(0, len(arguments), 12):
            yield {"type": "response.function_call_arguments.delta", **at, "delta": arguments[start : start + 12]}
        yield {"type": "response.function_call_arguments.done", **at, "name": item["name"], "arguments": arguments}
    for number, part in enumerate(item.get("content") or () if kind == "message" else ()):
        yield from _part_events({**at, "content_index": number}, part)
    for number, part in enumerate(item.get("summary") or () if kind == "reasoning" else ()):
        place = {**at, "summary_index": number}
        name = "response.reasoning_summary"
        yield {"type": f"{name}_part.added", **place, "part": {**part, "text": ""}}
        yield from ({"type": f"{name}_text.delta", **place, "delta": piece} for piece in pieces(part["text"]))
        yield {"type": f"{name}_text.done", **place, "text": part["text"]}
        yield {"type": f"{name}_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": index, "item": dict(item)}


def _part_events(at: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    key = "refusal" if part["type"] == "refusal" else "text"
    name = "response.refusal" if key == "refusal" else "response.output_text"
    extra: dict[str, Any] = {"logprobs": []} if key == "text" else {}
    yield {"type": "response.content_part.added", **at, "part": {**part, key: ""}}
    yield from ({"type": f"{name}.delta", **at, "delta": piece, **extra} for piece in pieces(part[key]))
    yield {"type": f"{name}.done", **at, key: part[key], **extra}
    yield {"type": "response.content_part.done", **at, "part": part}
