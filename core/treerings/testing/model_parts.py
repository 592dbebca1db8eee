"""What the model server's formats are made of: JSON as it is sent, pieces of a stream, numbers that are always the same."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from treerings.testing.model_script import ModelServerError
from treerings.testing.model_usage import UsageTotal, count_tokens

if TYPE_CHECKING:
    from treerings.testing.model_request import ModelRequest
    from treerings.testing.model_script import Answer, ToolCall

__all__ = [
    "CREATED",
    "Format",
    "encode",
    "event",
    "measure",
    "pieces",
    "remainder",
    "texts",
    "tool_arguments",
    "tool_call_id",
    "vector",
]

CREATED = 1_750_000_000
"""The time in every answer, so that two runs answer the same bytes."""
_WORD = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True, slots=True)
class Format:
    """How the answers of one endpoint are written."""

    whole: Callable[[ModelRequest, Answer, int], dict[str, Any]]
    """The answer's JSON; the number makes its ids."""
    chunks: Callable[[Mapping[str, Any], ModelRequest], list[bytes]]
    """The stream that adds up to this JSON."""
    told: Callable[[UsageTotal, ModelRequest], UsageTotal | None] = lambda total, _: total
    """What the client is told of the measured usage; None is nothing."""


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


def tool_arguments(call: ToolCall) -> object:
    """The arguments as an object, for formats that carry one; broken JSON stays text."""
    try:
        return json.loads(call.arguments_json)
    except ValueError:
        return call.arguments_json


def measure(request: ModelRequest, answer: Answer) -> tuple[UsageTotal, Mapping[str, Any]]:
    """The usage of an answer, and the overrides behind it; the prompt is counted once, the output for every choice."""
    prompt = sum(count_tokens(turn.text) + 3 for turn in request.turns)
    if tools := request.data.get("tools"):
        prompt += count_tokens(json.dumps(tools))
    calls = sum(count_tokens(call.name) + count_tokens(call.arguments_json) for call in answer.tool_calls)
    reasoning = count_tokens(answer.reasoning)
    said = sum(count_tokens(text) for text in texts(request, answer))
    given: Mapping[str, Any] = answer.usage or {}
    reasoning_tokens = given.get("reasoning_tokens", min(reasoning, given.get("output_tokens", reasoning)))
    cached = given.get("cache_read_tokens", 0) + given.get("cache_write_tokens", 0)
    return (
        UsageTotal(
            input_tokens=given.get("input_tokens", max(prompt, cached)),
            output_tokens=given.get("output_tokens", said + calls + reasoning_tokens),
            cache_read_tokens=given.get("cache_read_tokens", 0),
            cache_write_tokens=given.get("cache_write_tokens", 0),
            reasoning_tokens=reasoning_tokens,
            calls=1,
        ),
        given,
    )


def remainder(name: str, total: int, *parts: int) -> int:
    """What a sum has beside these parts, for formats that report the parts beside it; they cannot be more than it."""
    if sum(parts) > total:
        raise ModelServerError(
            f"usage has {name}={total} and parts of it that make {sum(parts)}; {name} includes them."
        )
    return total - sum(parts)


def texts(request: ModelRequest, answer: Answer) -> list[str]:
    """The text of every choice that is asked for."""
    first = answer.text if answer.refusal is None else answer.refusal
    n = _choices(request)
    return [first, *answer.alternatives, *([first] * n)][:n]


def _choices(request: ModelRequest) -> int:
    """How many texts are asked for: `n` for every prompt."""
    config = request.data.get("generationConfig")
    n = request.data.get("n") or (config.get("candidateCount") if isinstance(config, dict) else None)
    prompt = request.data.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return (n if isinstance(n, int) and n > 0 else 1) * prompts


def vector(text: str, dimensions: int) -> list[float]:
    """A unit vector: every word adds to a few places that its hash chooses."""
    values = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        digest = hashlib.sha256(word.encode()).digest()
        for start in range(0, 16, 4):
            place = int.from_bytes(digest[start : start + 3], "big") % dimensions
            values[place] += 1.0 if digest[start + 3] % 2 else -1.0
    length = math.hypot(*values) or 1.0
    return [value / length for value in values]
