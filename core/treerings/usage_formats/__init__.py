"""Providers' usage formats: each recognised by its shape and read into one `Usage`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ..usage import Usage
from . import amazon, anthropic, cohere, counters, events, google, openai
from .reading import count, mapping, member, tier

__all__ = ["from_payload", "from_stream"]

Reader = Callable[[Mapping[str, Any], str | None], Usage]

_PLACES = ("usage", "usageMetadata", "usage_metadata", "token_usage", "meta", "usage_info")
_WRAPPERS = ("response", "message", "delta", "data", "body", "result", "metadata", "x_groq", "chunk")
_METRICS = "amazon-bedrock-invocationMetrics"


class _Found(NamedTuple):
    reader: Reader
    raw: Mapping[str, Any]
    body: object


def from_payload(payload: object, provider: str | None = None) -> Usage:
    """See `Usage.from_provider`."""
    try:
        if isinstance(payload, (str, bytes, list, tuple)):
            return from_stream(payload, provider)
        found = _locate(payload)
        return Usage() if found is None else _read(found, provider)
    except Exception:  # a payload is anything: never the caller's problem
        return Usage()


def from_stream(source: str | bytes | Iterable[object], provider: str | None = None) -> Usage:
    """See `Usage.from_stream`."""
    try:
        return _fold(source, provider)
    except Exception:  # as above
        return Usage()


def _fold(source: str | bytes | Iterable[object], provider: str | None) -> Usage:
    """Merge the usage objects of a stream, format by format, the latest known value of each entry winning.

    A later 0 does not undo a count: some gateways send an empty object last. Bedrock's own metrics count only when the
    model said nothing itself.
    """
    merged: dict[Reader, dict[str, Any]] = {}
    bodies: dict[Reader, object] = {}
    service_tier: str | None = None
    for event in events.parse(source) if isinstance(source, (str, bytes)) else source:
        for part in events.parse(event) if isinstance(event, (str, bytes)) else (event,):
            service_tier = _tier_of(part) or service_tier
            found = _locate(_unpacked(part))
            if found is None:
                continue
            # Anthropic's later events lack the names that tell its format from OpenAI's: one family, told apart below.
            family = openai.read_responses if found.reader is anthropic.read_message else found.reader
            known = merged.setdefault(family, {})
            bodies[family] = found.body
            for name, value in found.raw.items():
                if value is not None and (value != 0 or not known.get(name)):
                    known[name] = value
    readers = [reader for reader in merged if reader is not amazon.read_metrics] or list(merged)
    if not readers:
        return Usage()
    raw = merged[readers[-1]]
    reader = (
        anthropic.read_message if readers[-1] is openai.read_responses and anthropic.is_anthropic(raw) else readers[-1]
    )
    usage = _read(_Found(reader, raw, bodies[readers[-1]]), provider)
    usage.service_tier = usage.service_tier or service_tier
    return usage


def _unpacked(event: object) -> object:
    """The JSON inside an invocation stream's chunk: boto3 gives bytes, the raw frame base64."""
    packed = member(member(event, "chunk") or event, "bytes")
    if isinstance(packed, str):
        try:
            packed = base64.b64decode(packed, validate=True)
        except (binascii.Error, ValueError):
            return event
    if isinstance(packed, bytes):
        return next(iter(events.parse(packed)), None)
    return event


def _locate(payload: object, depth: int = 0) -> _Found | None:
    """The usage object in a body: at its known places, the body itself, or inside an envelope."""
    if payload is None or isinstance(payload, (str, bytes, int, float)):
        return None
    for place in _PLACES:
        raw = mapping(member(payload, place))
        reader = _reader_of(raw) if raw else None
        if reader is not None:
            return _Found(reader, raw, payload)
    choices = member(payload, "choices")
    if isinstance(choices, (list, tuple)):  # Moonshot ends a stream with the usage inside the choice
        for choice in choices:
            raw = mapping(member(choice, "usage"))
            reader = _reader_of(raw) if raw else None
            if reader is not None:
                return _Found(reader, raw, payload)
    elif (reader := _reader_of(body := mapping(payload))) is not None:
        return _Found(reader, body, payload)
    if depth < 3:
        for wrapper in _WRAPPERS:
            inner = member(payload, wrapper)
            if inner is not None and not isinstance(inner, (str, bytes, list)):
                found = _locate(inner, depth + 1)
                if found is not None:
                    return found
    metrics = mapping(member(payload, _METRICS))
    if metrics:
        return _Found(amazon.read_metrics, metrics, payload)
    headers = mapping(member(member(payload, "ResponseMetadata"), "HTTPHeaders"))
    if "x-amzn-bedrock-input-token-count" in headers:
        return _Found(amazon.read_headers, headers, payload)
    return _images(payload)


def _reader_of(raw: Mapping[str, Any]) -> Reader | None:
    """Which format an object is, by the names in it."""
    for name, reader in _BY_NAME.items():
        if name in raw:
            return reader
    if "input_tokens" in raw or "output_tokens" in raw:
        return anthropic.read_message if anthropic.is_anthropic(raw) else openai.read_responses
    if cohere.is_cohere(raw):
        return cohere.read_units
    if google.is_google(raw):
        return google.read_generation
    if "generation_token_count" in raw or ("generation" in raw and "prompt_token_count" in raw):
        return amazon.read_llama
    if "completions" in raw and mapping(raw.get("prompt")).get("tokens") is not None:
        return amazon.read_jurassic
    found = counters.reader_of(raw)
    if found is not None:
        return found
    if "total_tokens" in raw:
        return openai.read_total
    if "seconds" in raw:
        return openai.read_duration
    if "cost_in_usd_ticks" in raw or type(raw.get("cost")) in (int, float):
        return openai.read_chat
    return None


_BY_NAME: dict[str, Reader] = {
    "prompt_tokens": openai.read_chat,
    "completion_tokens": openai.read_chat,
    "inputTokens": amazon.read_converse,
    "outputTokens": amazon.read_converse,
    "inputTokenCount": amazon.read_metrics,
    "outputTokenCount": amazon.read_metrics,
    "inputTextTokenCount": amazon.read_titan,
    "totalOutputTextTokenCount": amazon.read_titan,
    "prompt_eval_count": counters.read_ollama,
    "eval_count": counters.read_ollama,
    "pages_processed": openai.read_pages,
}


def _read(found: _Found, provider: str | None) -> Usage:
    usage = found.reader(found.raw, provider.lower() if isinstance(provider, str) else None)
    body = found.body
    if body is found.raw:
        return usage
    if usage.service_tier is None:
        usage.service_tier = _tier_of(body)
    _count_tool_calls(usage, member(body, "output"))
    if found.reader is openai.read_responses:
        _mark_whole_output(usage, body)
    return usage


def _tier_of(body: object) -> str | None:
    for holder in (body, member(body, "response"), member(body, "metadata")):
        for name in ("service_tier", "serviceTier") if holder is not None else ():
            if (told := member(holder, name)) is not None and (found := tier(told)) is not None:
                return found
    return None


def _count_tool_calls(usage: Usage, output: object) -> None:
    """Built-in tools that a Responses answer used, which OpenAI bills by the call; opening a found page is free."""
    if not isinstance(output, (list, tuple)):
        return
    for item in output:
        kind = member(item, "type")
        if kind == "web_search_call" and member(member(item, "action"), "type") in (None, "search"):
            usage.requests["web_search"] = usage.requests.get("web_search", 0) + 1
        elif kind == "file_search_call":
            usage.requests["file_search"] = usage.requests.get("file_search", 0) + 1


def _mark_whole_output(usage: Usage, body: object) -> None:
    """Image and speech answers do not break their output down: all of it is of the one kind."""
    if member(body, "type") == "speech.audio.done" and usage.output_audio_tokens is None:
        usage.output_audio_tokens = usage.output_tokens
    elif usage.output_image_tokens is None and (_count_images(body) or _is_image_event(member(body, "type"))):
        usage.output_image_tokens = usage.output_tokens


def _is_image_event(kind: object) -> bool:
    return kind in ("image_generation.completed", "image_edit.completed")


def _images(body: object) -> _Found | None:
    """An image answer without usage (DALL-E) is billed by the image."""
    number = _count_images(body)
    return _Found(_read_images, {"images": number}, body) if number else None


def _count_images(body: object) -> int:
    data = member(body, "data")
    if not isinstance(data, (list, tuple)):
        return 0
    return sum(
        1
        for item in data
        if member(item, "b64_json") is not None
        or member(item, "revised_prompt") is not None
        or member(item, "url") is not None
    )


def _read_images(raw: Mapping[str, Any], provider: str | None) -> Usage:
    number = count(raw.get("images"))
    return Usage(requests={"images": number} if number else {})
