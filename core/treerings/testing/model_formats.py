"""OpenAI's chat, completion, embedding and error formats, written by the model server."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import struct
from typing import TYPE_CHECKING, Any

from treerings.testing.model_usage import UsageTotal, count_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from treerings.testing.model_request import ModelRequest
    from treerings.testing.model_script import Answer, ToolCall

__all__ = [
    "chat_chunks",
    "chat_completion",
    "embeddings",
    "encode",
    "error_body",
    "event",
    "measure",
    "moderations",
    "pieces",
    "text_chunks",
    "text_completion",
    "tool_call_id",
]

CREATED = 1_750_000_000
"""The time in every answer, so that two runs answer the same bytes."""
DEFAULT_DIMENSIONS = 256
_WORD = re.compile(r"\S+\s*|\s+")
_ERROR_TYPES = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("permission_error", None),
    404: ("invalid_request_error", "not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


def encode(value: object) -> bytes:
    """JSON as it is sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event(value: object, *, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + encode(value) + b"\n\n"


def pieces(text: str) -> list[str]:
    """The text in the pieces that a stream sends: words with the white space after them."""
    return _WORD.findall(text)


def tool_call_id(call: ToolCall, number: int, index: int) -> str:
    """The id that was scripted, else one made of the numbers of the answer and of the call in it."""
    return call.id or f"call_{number:06d}_{index}"


def measure(request: ModelRequest, answer: Answer) -> tuple[UsageTotal, Mapping[str, Any]]:
    """The usage of an answer, and the overrides behind it; the prompt is counted once, the output for every choice."""
    prompt = sum(count_tokens(turn.text) + 3 for turn in request.turns)
    if tools := request.data.get("tools"):
        prompt += count_tokens(json.dumps(tools))
    calls = sum(count_tokens(call.name) + count_tokens(call.arguments_json) for call in answer.tool_calls)
    reasoning = count_tokens(answer.reasoning)
    texts = sum(count_tokens(text) for text in _texts(answer, _choices(request)))
    given: Mapping[str, Any] = answer.usage or {}
    reasoning_tokens = given.get("reasoning_tokens", reasoning)
    return (
        UsageTotal(
            input_tokens=given.get("input_tokens", prompt),
            output_tokens=given.get("output_tokens", texts + calls + reasoning_tokens),
            cache_read_tokens=given.get("cache_read_tokens", 0),
            cache_write_tokens=given.get("cache_write_tokens", 0),
            reasoning_tokens=reasoning_tokens,
            calls=1,
        ),
        given,
    )


def _choices(request: ModelRequest) -> int:
    """How many texts are asked for: `n` for every prompt."""
    n = request.data.get("n")
    prompt = request.data.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return (n if isinstance(n, int) and n > 0 else 1) * prompts


def _texts(answer: Answer, n: int) -> list[str]:
    first = answer.text if answer.refusal is None else answer.refusal
    return [first, *answer.alternatives, *([first] * n)][:n]


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


def chat_completion(request: ModelRequest, answer: Answer, number: int) -> dict[str, Any]:
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
    for index, text in enumerate(_texts(answer, _choices(request))):
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


def chat_chunks(completion: Mapping[str, Any], *, include_usage: bool) -> list[bytes]:
    """The events of a stream that ends in this `chat.completion` object."""
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


def text_completion(request: ModelRequest, answer: Answer, number: int) -> dict[str, Any]:
    """The legacy `text_completion` object: `n` choices for every prompt of the list."""
    total, given = measure(request, answer)
    texts = _texts(answer, _choices(request))
    reason = answer.finish_reason or "stop"
    completion: dict[str, Any] = {
        "id": f"cmpl-{number:06d}",
        "object": "text_completion",
        "created": CREATED,
        "model": answer.model or request.model,
        "choices": [
            {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
            for index, text in enumerate(texts)
        ],
    }
    if answer.report_usage:
        completion["usage"] = _usage(total, given)
    return completion


def text_chunks(completion: Mapping[str, Any], *, include_usage: bool) -> list[bytes]:
    """The events of a stream that ends in this `text_completion` object."""
    shared = {key: value for key, value in completion.items() if key not in {"choices", "usage"}}
    events = []
    for choice in completion["choices"]:
        deltas = [(piece, None) for piece in pieces(choice["text"])]
        for text, finish_reason in [*deltas, ("", choice["finish_reason"])]:
            events.append(event({**shared, "choices": [{**choice, "text": text, "finish_reason": finish_reason}]}))
    if include_usage and completion.get("usage") is not None:
        events.append(event({**shared, "choices": [], "usage": completion["usage"]}))
    return [*events, b"data: [DONE]\n\n"]


def embeddings(request: ModelRequest) -> dict[str, Any]:
    """The answer of `/embeddings`: texts with words in common have vectors near each other."""
    given = request.data.get("input", "")
    if isinstance(given, str) or (given and isinstance(given[0], int)):
        given = [given]
    inputs = [text if isinstance(text, str) else " ".join(map(str, text)) for text in given]
    dimensions = request.data.get("dimensions") or DEFAULT_DIMENSIONS
    as_base64 = request.data.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(inputs):
        vector: list[float] | str = _vector(text, dimensions)
        if as_base64:
            vector = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = sum(map(count_tokens, inputs))
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": request.model, "usage": usage}


def _vector(text: str, dimensions: int) -> list[float]:
    """A unit vector: every word adds to a few places that its hash chooses."""
    vector = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        digest = hashlib.sha256(word.encode()).digest()
        for start in range(0, 16, 4):
            place = int.from_bytes(digest[start : start + 3], "big") % dimensions
            vector[place] += 1.0 if digest[start + 3] % 2 else -1.0
    length = math.hypot(*vector) or 1.0
    return [value / length for value in vector]


def moderations(request: ModelRequest, number: int) -> dict[str, Any]:
    """The answer of `/moderations`: nothing is flagged."""
    given = request.data.get("input", "")
    result = {"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}
    count = len(given) if isinstance(given, list) else 1
    return {"id": f"modr-{number:06d}", "model": request.model or "moderation", "results": [result] * count}


def error_body(status: int, message: str, *, code: str | None = None) -> dict[str, Any]:
    """An error in OpenAI's shape."""
    default = ("server_error", None) if status >= 500 else ("invalid_request_error", None)
    kind, usual_code = _ERROR_TYPES.get(status, default)
    text = message or f"The model server was told to fail with status {status}."
    return {"error": {"message": text, "type": kind, "param": None, "code": code or usual_code}}
