"""OpenAI's chat, completion, embedding and error formats, written by the model server."""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any

from treerings.testing.model_parts import CREATED, Format, event, measure, pieces, texts, tool_call_id, vector
from treerings.testing.model_usage import UsageTotal, count_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from treerings.testing.model_request import ModelRequest
    from treerings.testing.model_script import Answer

__all__ = ["CHAT", "TEXT", "embeddings", "moderations", "openai_error"]

DEFAULT_DIMENSIONS = 256
_ERROR_TYPES = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("permission_error", None),
    404: ("invalid_request_error", "not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


def _usage(total: UsageTotal, given: Mapping[str, Any]) -> dict[str, Any]:
    prompt = {"cached_tokens": total.cache_read_tokens, "audio_tokens": given.get("input_audio_tokens", 0)}
    if "cache_write_tokens" in given:
        prompt["cache_write_tokens"] = total.cache_write_tokens
    return {
        "prompt_tokens": total.input_tokens,
        "completion_tokens": total.output_tokens,
        "total_tokens": total.total_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": total.reasoning_tokens,
            "audio_tokens": given.get("output_audio_tokens", 0),
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _chat_completion(request: ModelRequest, answer: Answer, number: int) -> dict[str, Any]:
    """The `chat.completion` object."""
    total, given = measure(request, answer)
    calls = [
        {
            "id": tool_call_id(call, number, index),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments_json},
        }
        for index, call in enumerate(answer.tool_calls)
    ]
    choices = []
    for index, text in enumerate(texts(request, answer)):
        refused = answer.refusal is not None
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if refused or (calls and not text) else text,
            "refusal": answer.refusal,
            "annotations": [],
        }
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        if calls:
            message["tool_calls"] = calls
        reason = answer.finish_reason or ("tool_calls" if calls else "stop")
        choices.append({"index": index, "message": message, "logprobs": None, "finish_reason": reason})
    completion: dict[str, Any] = {
        "id": f"chatcmpl-{number:06d}",
        "object": "chat.completion",
        "created": CREATED,
        "model": answer.model or request.model,
        "choices": choices,
    }
    if answer.report_usage:
        completion["usage"] = _usage(total, given)
    completion["service_tier"] = given.get("service_tier", "default")
    completion["system_fingerprint"] = "fp_treerings"
    return completion


def _chat_chunks(completion: Mapping[str, Any], request: ModelRequest) -> list[bytes]:
    """The events of a stream that ends in this `chat.completion` object."""
    include_usage = _includes_usage(request)
    shared = {key: value for key, value in completion.items() if key not in {"choices", "usage", "object"}}
    shared["object"] = "chat.completion.chunk"
    if include_usage:
        shared["usage"] = None
    events = []
    for choice in completion["choices"]:
        for delta, finish_reason in _deltas(choice):
            part = {"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            events.append(event({**shared, "choices": [part]}))
    if include_usage and completion.get("usage") is not None:
        events.append(event({**shared, "choices": [], "usage": completion["usage"]}))
    return [*events, b"data: [DONE]\n\n"]


def _deltas(choice: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    message = choice["message"]
    yield {"role": "assistant", "content": None if message.get("tool_calls") else "", "refusal": None}, None
    for key in ("reasoning_content", "refusal", "content"):
        for piece in pieces(message.get(key) or ""):
            yield {key: piece}, None
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        opened = {"index": index, "id": call["id"], "type": "function"}
        yield {"tool_calls": [{**opened, "function": {"name": function["name"], "arguments": ""}}]}, None
        arguments = function["arguments"]
        for start in range(0, len(arguments), 12):
            function_piece = {"arguments": arguments[start : start + 12]}
            yield {"tool_calls": [{"index": index, "function": function_piece}]}, None
    if message.get("function_call"):  # the format before tools
        yield {"function_call": message["function_call"]}, None
    yield {}, choice["finish_reason"]


def _text_completion(request: ModelRequest, answer: Answer, number: int) -> dict[str, Any]:
    """The legacy `text_completion` object: `n` choices for every prompt of the list."""
    total, given = measure(request, answer)
    reason = answer.finish_reason or "stop"
    completion: dict[str, Any] = {
        "id": f"cmpl-{number:06d}",
        "object": "text_completion",
        "created": CREATED,
        "model": answer.model or request.model,
        "choices": [
            {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
            for index, text in enumerate(texts(request, answer))
        ],
    }
    if answer.report_usage:
        completion["usage"] = _usage(total, given)
    return completion


def _text_chunks(completion: Mapping[str, Any], request: ModelRequest) -> list[bytes]:
    """The events of a stream that ends in this `text_completion` object."""
    shared = {key: value for key, value in completion.items() if key not in {"choices", "usage"}}
    events = []
    for choice in completion["choices"]:
        deltas = [(piece, None) for piece in pieces(choice["text"])]
        for text, finish_reason in [*deltas, ("", choice["finish_reason"])]:
            events.append(event({**shared, "choices": [{**choice, "text": text, "finish_reason": finish_reason}]}))
    if _includes_usage(request) and completion.get("usage") is not None:
        events.append(event({**shared, "choices": [], "usage": completion["usage"]}))
    return [*events, b"data: [DONE]\n\n"]


def _includes_usage(request: ModelRequest) -> bool:
    return bool((request.data.get("stream_options") or {}).get("include_usage"))


def _told(total: UsageTotal, request: ModelRequest) -> UsageTotal | None:
    """A stream tells usage to those that ask for it."""
    return total if not request.stream or _includes_usage(request) else None


CHAT = Format(_chat_completion, _chat_chunks, _told)
TEXT = Format(_text_completion, _text_chunks, _told)


def embeddings(request: ModelRequest, number: int) -> tuple[dict[str, Any], UsageTotal]:
    """The answer of `/embeddings`: texts with words in common have vectors near each other."""
    given = request.data.get("input", "")
    if isinstance(given, str) or (given and isinstance(given[0], int)):
        given = [given]
    inputs = [text if isinstance(text, str) else " ".join(map(str, text)) for text in given]
    dimensions = request.data.get("dimensions") or DEFAULT_DIMENSIONS
    as_base64 = request.data.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(inputs):
        values: list[float] | str = vector(text, dimensions)
        if as_base64:
            values = base64.b64encode(struct.pack(f"<{dimensions}f", *values)).decode()
        data.append({"object": "embedding", "index": index, "embedding": values})
    tokens = sum(map(count_tokens, inputs))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    body = {"object": "list", "data": data, "model": request.model, "usage": usage}
    return body, UsageTotal(input_tokens=tokens, calls=1)


def moderations(request: ModelRequest, number: int) -> tuple[dict[str, Any], None]:
    """The answer of `/moderations`: nothing is flagged."""
    given = request.data.get("input", "")
    result = {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}
    count = len(given) if isinstance(given, list) else 1
    return {"id": f"modr-{number:06d}", "model": request.model or "moderation", "results": [result] * count}, None


def openai_error(status: int, message: str, code: str | None) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    default = ("server_error", None) if status >= 500 else ("invalid_request_error", None)
    kind, usual_code = _ERROR_TYPES.get(status, default)
    return {"error": {"message": message, "type": kind, "param": None, "code": code or usual_code}}
