"""Google's Gemini format: contents whole and streamed, embeddings, counts and errors, written by the model server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from treerings.testing.model_parts import (
    Format,
    encode,
    event,
    measure,
    pieces,
    remainder,
    texts,
    tool_arguments,
    vector,
)
from treerings.testing.model_request import text_of
from treerings.testing.model_script import Answer
from treerings.testing.model_usage import UsageTotal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from treerings.testing.model_request import ModelRequest

__all__ = ["CONTENTS", "content_embedding", "content_embeddings", "content_token_count", "google_error"]

DEFAULT_DIMENSIONS = 768
_FINISH_REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def _response(request: ModelRequest, answer: Answer, number: int) -> dict[str, Any]:
    """The `GenerateContentResponse`."""
    total, given = measure(request, answer)
    reason = answer.finish_reason or ("stop" if answer.refusal is None else "content_filter")
    candidates = []
    for index, text in enumerate(texts(request, answer)):
        candidate: dict[str, Any] = {
            "content": {"parts": list(_parts(answer, text)), "role": "model"},
            "finishReason": _FINISH_REASONS.get(reason, reason),
            "index": index,
        }
        if answer.refusal is not None:
            candidate["finishMessage"] = answer.refusal
        candidates.append(candidate)
    response: dict[str, Any] = {"candidates": candidates}
    if answer.report_usage:
        response["usageMetadata"] = _usage(total, given)
    return {**response, "modelVersion": answer.model or request.model, "responseId": f"resp_{number:06d}"}


def _parts(answer: Answer, text: str) -> Iterator[dict[str, Any]]:
    if answer.reasoning:
        yield {"text": answer.reasoning, "thought": True}
    if answer.refusal is None and (text or not answer.tool_calls):
        yield {"text": text}
    for call in answer.tool_calls:
        function: dict[str, Any] = {"name": call.name, "args": tool_arguments(call)}
        yield {"functionCall": {"id": call.id, **function} if call.id else function}


def _usage(total: UsageTotal, given: Mapping[str, Any]) -> dict[str, Any]:
    """Google counts thoughts beside the answer and not in it; what was read from the cache is in the prompt."""
    answered = remainder("output_tokens", total.output_tokens, total.reasoning_tokens)
    usage: dict[str, Any] = {
        "promptTokenCount": total.input_tokens,
        "candidatesTokenCount": answered,
        "totalTokenCount": total.total_tokens,
        "promptTokensDetails": _by_modality(total.input_tokens, given.get("input_audio_tokens", 0)),
        "candidatesTokensDetails": _by_modality(answered, given.get("output_audio_tokens", 0)),
    }
    if total.cache_read_tokens:
        usage["cachedContentTokenCount"] = total.cache_read_tokens
    if total.reasoning_tokens:
        usage["thoughtsTokenCount"] = total.reasoning_tokens
    if "service_tier" in given:
        usage["serviceTier"] = given["service_tier"]
    return usage


def _by_modality(total: int, audio: int) -> list[dict[str, Any]]:
    counts = {"TEXT": remainder("tokens of all sorts", total, audio), "AUDIO": audio}
    return [{"modality": name, "tokenCount": count} for name, count in counts.items() if count]


def _chunks(response: Mapping[str, Any], request: ModelRequest) -> list[bytes]:
    """The responses that add up to this one: events with `alt=sse`, else the items of one JSON list."""
    shared = {key: value for key, value in response.items() if key not in {"candidates", "usageMetadata"}}
    chunks = [
        {"candidates": [part], **shared} for candidate in response["candidates"] for part in _candidate_parts(candidate)
    ]
    if (usage := response.get("usageMetadata")) is not None:
        prompt = usage["promptTokenCount"]
        for chunk in chunks:
            chunk["usageMetadata"] = {"promptTokenCount": prompt, "totalTokenCount": prompt}
        chunks[-1]["usageMetadata"] = usage
    if request.query.get("alt") == "sse":
        return [event(chunk) for chunk in chunks]
    return [*((b",\r\n" if index else b"[") + encode(chunk) for index, chunk in enumerate(chunks)), b"]"]


def _candidate_parts(candidate: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The candidate piece by piece; only the last says why it is finished."""
    parts: list[dict[str, Any]] = []
    for part in candidate["content"]["parts"]:
        parts += [{**part, "text": piece} for piece in pieces(part["text"])] if part.get("text") else [part]
    last = len(parts) - 1
    for number, part in enumerate(parts):
        content = {"content": {"parts": [part], "role": "model"}}
        yield {**candidate, **content} if number == last else {**content, "index": candidate["index"]}
    if not parts:
        yield dict(candidate)


def _told(total: UsageTotal, _: ModelRequest) -> UsageTotal:
    """Google has no number for what is written to the cache."""
    return replace(total, cache_write_tokens=0)


CONTENTS = Format(_response, _chunks, _told)


def content_embedding(request: ModelRequest, number: int) -> tuple[dict[str, Any], UsageTotal]:
    """The answer of `:embedContent`, which tells no usage."""
    return {"embedding": _embedding(request.data)}, UsageTotal(calls=1, calls_without_usage=1)


def content_embeddings(request: ModelRequest, number: int) -> tuple[dict[str, Any], UsageTotal]:
    """The answer of `:batchEmbedContents`, which tells no usage."""
    asked = [item for item in request.data.get("requests") or () if isinstance(item, dict)]
    return {"embeddings": [_embedding(item) for item in asked]}, UsageTotal(calls=1, calls_without_usage=1)


def _embedding(asked: Mapping[str, Any]) -> dict[str, Any]:
    config = asked.get("embedContentConfig") or {}
    dimensions = asked.get("outputDimensionality") or config.get("outputDimensionality") or DEFAULT_DIMENSIONS
    return {"values": vector(text_of(asked.get("content")), dimensions)}


def content_token_count(request: ModelRequest, number: int) -> tuple[dict[str, Any], None]:
    """The answer of `:countTokens`, which is no call of a model."""
    return {"totalTokens": measure(request, Answer())[0].input_tokens}, None


def google_error(status: int, message: str, code: str | None) -> dict[str, Any]:
    """An error in Google's shape; `code` stands in the place of its status."""
    name = code or _STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    return {"error": {"code": status, "message": message, "status": name}}
