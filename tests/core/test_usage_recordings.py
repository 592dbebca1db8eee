"""Every usage in the recordings of real provider traffic, against sums that are written out per format."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from treerings.usage import Usage

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = ROOT.parent / "shared" / "recordings"
NUMBER = r'"%s"\s*:\s*(\d+)'

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings beside the repository")


def calls() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path in sorted(RECORDINGS.glob("*/*.json")):
        for index, call in enumerate(json.loads(path.read_text())):
            found.append((f"{path.stem}[{index}]", call))
    return found


def last(text: str, name: str) -> int | None:
    numbers = re.findall(NUMBER % name, text)
    return int(numbers[-1]) if numbers else None


def expected(response: Any) -> tuple[int | None, int | None, int | None]:
    """(input, output, cache read), by the documented rule of each format."""
    if isinstance(response, list):
        response = response[-1]
    if isinstance(response, dict):
        return expected_of_body(response)
    text = response
    if not text.startswith(("data:", "event:", "{")):
        text = base64.b64decode(text).decode("latin-1")
        text = text[text.rfind('"usage":{"inputTokens"') :] if '"usage":{"inputTokens"' in text else ""
        return last(text, "inputTokens"), last(text, "outputTokens"), None
    if "message_start" in text:
        read, written = last(text, "cache_read_input_tokens"), last(text, "cache_creation_input_tokens")
        uncached = last(text, "input_tokens")
        assert uncached is not None
        return uncached + (read or 0) + (written or 0), last(text, "output_tokens"), read
    if "usageMetadata" in text:
        tools, thoughts = last(text, "toolUsePromptTokenCount") or 0, last(text, "thoughtsTokenCount") or 0
        prompt, answer = last(text, "promptTokenCount"), last(text, "candidatesTokenCount")
        assert answer is not None
        return None if prompt is None else prompt + tools, answer + thoughts, last(text, "cachedContentTokenCount")
    if '"billed_units"' in text:
        billed = text[text.index('"billed_units"') : text.index('"tokens":{')]
        return last(billed, "input_tokens"), last(billed, "output_tokens"), None
    if '"response.completed"' in text:
        done = text[text.rindex('"usage"') :]
        return last(done, "input_tokens"), last(done, "output_tokens"), last(done, "cached_tokens")
    if '"eval_count"' in text:
        return last(text, "prompt_eval_count"), last(text, "eval_count"), None
    return last(text, "prompt_tokens"), last(text, "completion_tokens"), last(text, "cached_tokens")


def expected_of_body(body: dict[str, Any]) -> tuple[int | None, int | None, int | None]:
    usage = body.get("usage") or {}
    if "usageMetadata" in body:
        google = body["usageMetadata"]
        tools, thoughts = google.get("toolUsePromptTokenCount", 0), google.get("thoughtsTokenCount", 0)
        output = google.get("candidatesTokenCount", 0) + thoughts
        return google["promptTokenCount"] + tools, output, google.get("cachedContentTokenCount")
    if "billed_units" in usage or "meta" in body:
        billed = usage.get("billed_units") or body["meta"]["billed_units"]
        return billed["input_tokens"], billed.get("output_tokens"), None
    if "inputTokens" in usage:
        read = usage.get("cacheReadInputTokens", usage.get("cacheReadInputTokenCount"))
        written = usage.get("cacheWriteInputTokens", usage.get("cacheWriteInputTokenCount", 0))
        return usage["inputTokens"] + (read or 0) + written, usage.get("outputTokens"), read
    if "prompt_tokens" in usage:
        details = usage.get("prompt_tokens_details") or usage.get("prompt_token_details") or {}
        cached = details.get("cached_tokens", usage.get("cached_tokens"))
        return usage["prompt_tokens"], usage.get("completion_tokens"), cached
    if "input_tokens_details" in usage:
        return usage["input_tokens"], usage["output_tokens"], usage["input_tokens_details"]["cached_tokens"]
    if "input_tokens" in usage:
        read = usage.get("cache_read_input_tokens")
        written = usage.get("cache_creation_input_tokens", 0)
        return usage["input_tokens"] + (read or 0) + written, usage["output_tokens"], read
    if "total_tokens" in usage:
        return usage["total_tokens"], None, None
    if "generation_token_count" in body:
        return body["prompt_token_count"], body["generation_token_count"], None
    if "inputTextTokenCount" in body:
        return body["inputTextTokenCount"], sum(r["tokenCount"] for r in body["results"]), None
    if "eval_count" in body or "prompt_eval_count" in body:
        return body.get("prompt_eval_count"), body.get("eval_count"), None
    if "completions" in body:
        return len(body["prompt"]["tokens"]), sum(len(c["data"]["tokens"]) for c in body["completions"]), None
    return None, None, None


@pytest.mark.parametrize(("name", "call"), calls() if RECORDINGS.is_dir() else [])
def test_every_recorded_answer_gives_the_tokens_that_it_reports(name: str, call: dict[str, Any]) -> None:
    response = call["response"]
    read = Usage.from_stream(response) if isinstance(response, str) else Usage.from_provider(response)

    assert (read.input_tokens, read.output_tokens, read.cache_read_tokens) == expected(response)


def test_a_wrong_provider_name_changes_no_recorded_usage() -> None:
    for _, call in calls():
        response = call["response"]
        assert Usage.from_provider(response, provider="nobody") == Usage.from_provider(response)


def test_most_recorded_answers_report_usage() -> None:
    known = [call for _, call in calls() if Usage.from_provider(call["response"]).input_tokens is not None]

    assert len(known) > 350
