"""Recorded traffic with model providers: load a file of calls, and read what their answers reported."""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from treerings.testing.model_request import ModelRequest, endpoint_of
from treerings.testing.model_usage import UsageTotal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Call", "calls", "event_stream", "events", "folder", "load", "usage_total"]

_PROVIDERS = {
    "anthropic.com": "anthropic",
    "openai.azure.com": "azure",
    "openai.com": "openai",
    "aiplatform.googleapis.com": "vertexai",
    "googleapis.com": "google",
    "amazonaws.com": "bedrock",
    "groq.com": "groq",
    "mistral.ai": "mistral",
    "deepseek.com": "deepseek",
    "cohere.com": "cohere",
    "together.ai": "together",
    "voyageai.com": "voyage",
    "writer.com": "writer",
    "portkey.ai": "portkey",
}


@dataclass(frozen=True)
class Call:
    """One request to a provider and its answer: a JSON value, or the raw text of a stream.

    A binary event stream (Bedrock) is recorded as base64 text.
    """

    url: str
    status: int
    request: Any
    response: Any

    @property
    def endpoint(self) -> str:
        """`chat/completions`, `responses`, `messages`, `generateContent` ..., without host, version and deployment."""
        return endpoint_of(self.url)

    @property
    def provider(self) -> str:
        """`openai`, `azure`, `anthropic`, `google`, `bedrock` ..., else the host's name."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.port == 11434 or parts.path.startswith("/api/"):
            return "ollama"
        return next((name for end, name in _PROVIDERS.items() if host.endswith(end)), host)

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream."""
        return isinstance(self.response, str) or self.endpoint == "streamGenerateContent"

    @cached_property
    def asked(self) -> ModelRequest:
        """The recorded request, in the view that a `ModelServer` has of a received one."""
        return ModelRequest("POST", urlsplit(self.url).path, body=self.request)


def folder() -> Path | None:
    """Where recordings are kept: `TREERINGS_RECORDINGS`, else `../shared/recordings` beside a repository above the
    working directory; None when there are none."""
    named = os.environ.get("TREERINGS_RECORDINGS")
    if named:
        return Path(named) if Path(named).is_dir() else None
    here = Path.cwd()
    for root in (here, *here.parents):
        if (root / "pyproject.toml").is_file():
            beside = root.parent / "shared" / "recordings"
            return beside if beside.is_dir() else None
    return None


def load(path: str | Path) -> list[Call]:
    """The calls of a recording, in their order; a relative path may also be one inside `folder()`."""
    path = Path(path)
    base = folder()
    if not path.is_file() and base is not None and (base / path).is_file():
        path = base / path
    return calls(json.loads(path.read_text(encoding="utf-8")))


def calls(entries: Iterable[Call | Mapping[str, Any]]) -> list[Call]:
    """The entries as calls."""
    return [
        entry if isinstance(entry, Call) else Call(entry["url"], entry["status"], entry["request"], entry["response"])
        for entry in entries
    ]


def events(call: Call) -> Iterator[dict[str, Any]]:
    """The JSON objects of an answer: the events of a stream in order, or the one object of a whole answer."""
    if isinstance(call.response, str):
        binary = event_stream(call)
        yield from _json_in_binary(binary) if binary is not None else _json_lines(call.response)
    else:
        whole = call.response if isinstance(call.response, list) else [call.response]
        yield from (item for item in whole if isinstance(item, dict))


def event_stream(call: Call) -> bytes | None:
    """The bytes of a binary event stream; None when the answer is something else."""
    if not isinstance(call.response, str) or not call.endpoint.endswith("-stream"):
        return None
    try:
        return base64.b64decode(call.response, validate=True)
    except binascii.Error:
        return None


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            value = json.loads(line.removeprefix("data:"))
        except ValueError:
            continue  # an event's name, [DONE], a comment
        if isinstance(value, dict):
            yield value


def _json_in_binary(data: bytes) -> Iterator[dict[str, Any]]:
    """The payloads of AWS event stream messages: lengths of message and headers first, a checksum after each part.

    Format: https://smithy.io/2.0/aws/amazon-eventstream.html
    """
    while len(data) >= 16:
        total = int.from_bytes(data[0:4], "big")
        headers = int.from_bytes(data[4:8], "big")
        payload = data[12 + headers : total - 4]
        try:
            value = json.loads(payload)
        except ValueError:
            value = None
        if isinstance(value, dict):
            yield value
        data = data[max(total, 16) :]


def usage_total(recorded: Iterable[Call]) -> UsageTotal:
    """What the answers reported, added up and read from the payloads alone: an oracle for trees captured from them.

    Sums are inclusive, as in `treerings.usage.Usage`: what Anthropic and Bedrock report beside the input (cache reads
    and writes) and what Google reports beside the output (thoughts) is in `input_tokens` and `output_tokens`. Of a
    stream that reports several times the last number counts. Failed calls report nothing; Cohere counts as it bills.
    """
    total = UsageTotal()
    for call in recorded:
        if call.status < 400:
            total += _reported(call)
    return total


def _reported(call: Call) -> UsageTotal:
    usage: dict[str, Any] = {}
    for item in events(call):
        for raw in _usages(item):
            usage.update((key, value) for key, value in raw.items() if value is not None)
    if not usage:
        return UsageTotal(calls=1, calls_without_usage=1)

    def number(*names: str) -> int:
        return next((usage[name] for name in names if usage.get(name)), 0)

    def detail(name: str, *places: str) -> int:
        return next((usage[place][name] for place in places if (usage.get(place) or {}).get(name)), 0)

    read = number("cache_read_input_tokens", "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = number("cache_creation_input_tokens", "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    within = detail("cached_tokens", "prompt_tokens_details", "input_tokens_details")
    thoughts = number("thoughtsTokenCount")
    prompt = number("prompt_tokens", "input_tokens", "inputTokens", "promptTokenCount", *_OTHER_INPUT)
    if set(usage) <= {"total_tokens"}:
        prompt = number("total_tokens")
    answer = number("completion_tokens", "output_tokens", "outputTokens", "candidatesTokenCount", *_OTHER_OUTPUT)
    return UsageTotal(
        input_tokens=prompt + read + written + number("toolUsePromptTokenCount"),
        output_tokens=answer + thoughts,
        cache_read_tokens=read or within or number("cachedContentTokenCount"),
        cache_write_tokens=written,
        reasoning_tokens=thoughts or detail("reasoning_tokens", "completion_tokens_details", "output_tokens_details"),
        calls=1,
    )


_OTHER_INPUT = ("prompt_eval_count", "prompt_token_count", "inputTextTokenCount")
_OTHER_OUTPUT = ("eval_count", "generation_token_count", "outputTextTokenCount")


def _usages(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The places where providers put usage, in an answer or in one event of a stream."""
    for holder in (item, item.get("message"), item.get("response"), item.get("delta")):
        if isinstance(holder, dict):
            for found in (holder.get("usage"), holder.get("usageMetadata"), holder.get("meta")):
                if isinstance(found, dict):
                    billed = found.get("billed_units")
                    yield billed if isinstance(billed, dict) else found
    yield {name: item[name] for name in (*_OTHER_INPUT, *_OTHER_OUTPUT) if name in item}
    for result in item.get("results") or ():
        if isinstance(result, dict) and "tokenCount" in result:
            yield {"outputTextTokenCount": result["tokenCount"]}
    if isinstance(prompt := item.get("prompt"), dict) and "completions" in item:
        completions = [entry.get("data", {}).get("tokens", ()) for entry in item["completions"]]
        yield {"prompt_tokens": len(prompt.get("tokens", ())), "completion_tokens": sum(map(len, completions))}
