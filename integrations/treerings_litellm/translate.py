"""What LiteLLM says of a call, as our words: kind, request, answer, usage."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from treerings import Kind, Usage
from treerings.model_names import provider_id
from treerings.request_parameters import REQUEST_PARAMETERS

__all__ = ["What", "answer", "ended", "facts", "labels", "model", "nanoseconds", "provider", "request", "usage", "what"]

_PARAMETERS = frozenset((*REQUEST_PARAMETERS, "dimensions", "size", "quality", "voice", "top_n"))
"""What is kept of a call's parameters; the rest may hold anything, credentials included."""


STATES_COST = ("openrouter", "perplexity", "xai")
"""Providers whose answers state what they cost."""


class What(NamedTuple):
    """What sort of call it is."""

    kind: Kind
    name: str
    call_type: str | None = None


_CALLS = {
    "completion": What(Kind.LLM, "completion"),
    "text_completion": What(Kind.LLM, "text_completion", "completion"),
    "responses": What(Kind.LLM, "responses"),
    "anthropic_messages": What(Kind.LLM, "anthropic_messages"),
    "generate_content": What(Kind.LLM, "generate_content"),
    "generate_content_stream": What(Kind.LLM, "generate_content"),
    "embedding": What(Kind.EMBEDDING, "embedding", "embedding"),
    "image_generation": What(Kind.LLM, "image_generation", "image"),
    "image_edit": What(Kind.LLM, "image_edit", "image"),
    "image_variation": What(Kind.LLM, "image_variation", "image"),
    "transcription": What(Kind.LLM, "transcription", "transcription"),
    "speech": What(Kind.LLM, "speech", "speech"),
    "moderation": What(Kind.LLM, "moderation", "moderation"),
    "rerank": What(Kind.RERANKER, "rerank"),
}


def what(call_type: object) -> What | None:
    """The sort of a call by LiteLLM's name of it, `a` in front of the asynchronous ones; None for what is no model call."""
    if not isinstance(call_type, str):
        return None
    return _CALLS.get(call_type) or _CALLS.get(call_type.removeprefix("a"))


def model(details: Mapping[str, Any]) -> str | None:
    """The model without the provider's name in front, which some of LiteLLM's ways leave there."""
    name = details.get("model")
    return name.removeprefix(f"{details.get('custom_llm_provider')}/") if isinstance(name, str) else None


def provider(details: Mapping[str, Any]) -> str | None:
    name = details.get("custom_llm_provider")
    return provider_id(name) if isinstance(name, str) else None


def request(details: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the request that say how to sample."""
    given = details.get("optional_params")
    return {key: given[key] for key in given if key in _PARAMETERS} if isinstance(given, dict) else {}


def labels(details: Mapping[str, Any]) -> dict[str, str] | None:
    """The dimensions that LiteLLM has parameters for: the end user, and the session of the metadata."""
    found = {"user_id": details.get("user")}
    metadata = _metadata(details)
    for name in ("session_id", "user_id", "tenant_id"):
        if name in metadata:
            found[name] = metadata[name]
    return {key: str(value) for key, value in found.items() if isinstance(value, str | int) and value} or None


def facts(details: Mapping[str, Any], called: What, attempt: int) -> dict[str, Any]:
    """Attributes that are known when the call starts."""
    metadata = _metadata(details)
    retries = metadata.get("attempted_retries")
    number = max(attempt, retries + 1 if isinstance(retries, int) else 0)
    found = {
        "call_type": called.call_type,
        "request": request(details) or None,
        "attempt": number if number > 1 else None,
        "model_group": metadata.get("model_group"),
    }
    return {key: value for key, value in found.items() if value is not None}


def _metadata(details: Mapping[str, Any]) -> Mapping[str, Any]:
    params = details.get("litellm_params")
    metadata = params.get("metadata") if isinstance(params, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def answer(called: What, response: Any) -> Any:
    """The payload of a response: its message, or what else it has; vectors and sounds only by their size."""
    if called.kind is Kind.EMBEDDING:
        rows = _get(response, "data")
        first = _get(rows[0], "embedding") if isinstance(rows, list) and rows else None
        return {"vectors": len(rows or ()), "dimensions": len(first) if isinstance(first, list) else None}
    if called.call_type == "speech":  # the SDK's response, whose `text` would be the sound
        sound = _get(response, "content")
        return {"bytes": len(sound)} if isinstance(sound, bytes) else None
    choices = _get(response, "choices")
    if isinstance(choices, list) and choices:
        said = [_plain(_get(choice, "message") or _get(choice, "text")) for choice in choices]
        return said[0] if len(said) == 1 else said
    for name in ("output", "results", "text", "content"):
        found = _get(response, name)
        if isinstance(found, str | list) and found:
            return [_plain(item) for item in found] if isinstance(found, list) else found
    return _plain(response)


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(exclude_none=True, exclude={"usage"}, warnings=False)
    return value


def ended(response: Any) -> dict[str, Any]:
    """Attributes that the response tells: its id, why the model stopped."""
    found: dict[str, Any] = {}
    id = _get(response, "id")
    if isinstance(id, str):
        found["response_id"] = id
    choices = _get(response, "choices")
    if isinstance(choices, list) and choices and isinstance(reason := _get(choices[0], "finish_reason"), str):
        found["finish_reason"] = reason
    return found


def usage(
    response: Any, *, streamed: bool, cache_hit: bool, provider: str | None, images: bool = False
) -> Usage | None:
    """The usage that the provider reported; None when it did not.

    Of a stream without a report LiteLLM says 0 and 0, or counts itself: neither is the provider's word. It puts what the
    chunks reported into the hidden parameters when the caller did not ask for it.
    """
    found = Usage.from_provider(response, provider)
    if images and not found.input_tokens and not found.output_tokens:
        found = Usage.from_provider({"data": _get(response, "data")})  # beside a usage of zeros, which LiteLLM adds
    if streamed and not cache_hit:
        hidden = _get(response, "_hidden_params")
        reported = hidden.get("usage") if isinstance(hidden, dict) else None
        if not found.input_tokens and not found.output_tokens:
            return None
        if reported is not None and not _get(reported, "prompt_tokens") and not _get(reported, "completion_tokens"):
            return None
    if provider not in STATES_COST or getattr(sys.modules.get("litellm"), "include_cost_in_streaming_usage", False):
        found = replace(found, reported_cost_usd=None)  # LiteLLM writes its own price there
    if cache_hit:
        return replace(found, cache_hit=True)
    return found if found != Usage() else None


def nanoseconds(moment: object) -> int | None:
    """A local time of LiteLLM's, without a zone, as UTC nanoseconds."""
    if not isinstance(moment, datetime):
        return None
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000


def _get(holder: Any, name: str) -> Any:
    try:
        return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
    except Exception:  # a property of somebody's response class
        return None
