"""Counting tokens that no provider reported: exactly where the tokenizer is at hand, else by a calibrated estimate."""

from __future__ import annotations

import hashlib
import json
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .model_names import candidates
from .tokens_exact import encoding_for
from .usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Calibrator", "TokenCount", "count", "estimate_usage"]

_PIECE = re.compile(
    r"(?P<word>[A-ZÀ-ÖØ-ÞĀ-ɏ]?[a-zß-öø-ÿĀ-ɏḀ-ỿ]+|[A-ZÀ-ÖØ-Þ]+)|(?P<digits>[0-9]+)|(?P<space>[ \t]*[\r\n]\s*|[ \t]{2,})"
    r"|(?P<punctuation>[!-/:-@\[-`{-~]+)|(?P<han>[㐀-䶿一-鿿豈-﫿]+)|(?P<kana>[぀-ヿ]+)|(?P<hangul>[가-힯]+)"
    r"|(?P<cyrillic>[Ѐ-ԯ]+)|(?P<two_bytes>[Ͱ-߿]+)|(?P<indic>[ऀ-࿿]+)|(?P<other>[^\x00-\x7f])"
)
_ACCENTED = re.compile(r"[À-ɏ]")
_VENDOR = re.compile(r"^(?:[a-z0-9]+\.)+(?=[a-z])")
_PER_CHARACTER = {
    "han": 0.78,
    "kana": 0.8,
    "hangul": 0.74,
    "cyrillic": 0.32,
    "two_bytes": 0.42,
    "indic": 0.4,
    "other": 1.36,
}
"""Tokens for a character, fitted to o200k_base; see docs/accounting.md for the error on other texts."""

_SAMPLE_ABOVE = 64 * 1024
_SLICES, _SLICE = 16, 4096
_EXACT_UP_TO = 1_000_000
_CHUNK = 16_384
_CACHED_COUNTS = 2048
_CACHED_FROM = 256

_MESSAGE_TOKENS = 4
_REPLY_TOKENS = 3
_MAX_PARTS = 100_000
_MAX_DEPTH = 24
_NOT_PROMPT = frozenset(
    [
        *(
            "additional_kwargs",
            "b64_json",
            "created",
            "data",
            "detail",
            "encrypted_content",
            "example",
            "finish_reason",
        ),
        *(
            "format",
            "id",
            "image_url",
            "index",
            "invalid_tool_calls",
            "llm_output",
            "logprobs",
            "media_type",
            "metadata",
        ),
        *("mime_type", "model", "object", "response_metadata", "role", "signature", "source", "tool_call_id", "type"),
        *("url", "usage", "usage_metadata"),
    ]
)
_STRUCTURED = frozenset({"args", "arguments", "input", "input_schema", "json_schema", "parameters", "schema"})

_counts: OrderedDict[tuple[str, bytes], int] = OrderedDict()


@dataclass(frozen=True, slots=True)
class TokenCount:
    """A number of tokens and how it was come by."""

    tokens: int
    method: str
    """`tokenizer:o200k_base` (exact), `heuristic`, or `calibrated` (heuristic, corrected by what providers reported)."""


class Calibrator:
    """Learns, model family by family, how far the heuristic is off: a running ratio of true to estimated counts.

    One thread observes; any thread may read. At most 256 families are kept, the longest unseen one goes first.
    """

    MINIMUM = 5
    """Observations before a ratio is used."""

    def __init__(self) -> None:
        """Start with nothing learnt."""
        self._ratios: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def observe(self, model: str | None, estimate: int, true: int) -> None:
        """Learn from one call: our heuristic estimate, without a factor, and what the provider reported."""
        if not model or estimate <= 0 or true <= 0:
            return
        ratio = min(3.0, max(0.5, true / estimate))
        family = _family(model)
        seen, mean = self._ratios.get(family, (0, 1.0))
        weight = max(1 / (seen + 1), 0.1)
        self._ratios[family] = (seen + 1, mean + weight * (ratio - mean))
        self._ratios.move_to_end(family)
        if len(self._ratios) > 256:
            self._ratios.popitem(last=False)

    def factor(self, model: str | None) -> float:
        """By what to multiply an estimate for this model; 1.0 until enough was observed."""
        seen, mean = self._ratios.get(_family(model), (0, 1.0)) if model else (0, 1.0)
        return mean if seen >= self.MINIMUM else 1.0


def count(text: str, model: str | None = None, *, calibrator: Calibrator | None = None) -> TokenCount:
    """The tokens of `text` for a model; never a download, never a network call.

    Exact for OpenAI's models when tiktoken and the vocabulary are on disk, up to a million characters. Everything else is
    estimated; beyond 64 KiB from sixteen slices spread evenly, so that the cost stays flat.
    """
    encoding = encoding_for(model) if len(text) <= _EXACT_UP_TO else None
    if encoding is not None:
        try:
            method = f"tokenizer:{encoding.name}"
            return TokenCount(_remembered(method, text, lambda: _encoded(encoding, text)), method)
        except Exception:  # the estimate never fails
            pass
    estimate = _remembered("heuristic", text, lambda: _estimate(text))
    factor = calibrator.factor(model) if calibrator is not None else 1.0
    if factor != 1.0:
        return TokenCount(round(estimate * factor), "calibrated")
    return TokenCount(estimate, "heuristic")


def estimate_usage(
    *,
    model: str | None,
    input: object,
    output: object,
    count: Callable[[str | None, str], int | None] | None = None,
    calibrator: Calibrator | None = None,
) -> tuple[Usage, str] | None:
    """Usage of a call from its plain-data messages, with the method; None when there is nothing to count.

    A message adds 4 tokens and the answer's opening 3, as in OpenAI's chat format. Images, audio and files are not
    counted. `count` is asked first for each side's text (method `plugin`). What is None stays unknown.
    """
    usage, methods = Usage(), []
    for side, value in (("input_tokens", input), ("output_tokens", output)):
        if value is None:
            continue
        text, messages = _text_of(value)
        asked = count(model, text) if count is not None else None
        counted = TokenCount(asked, "plugin") if asked is not None else _count(text, model, calibrator=calibrator)
        overhead = messages * _MESSAGE_TOKENS + _REPLY_TOKENS if messages and side == "input_tokens" else 0
        setattr(usage, side, counted.tokens + overhead)
        methods.append(counted.method)
    return (usage, min(methods)) if methods else None  # `calibrated` and `heuristic` go before `tokenizer:...`


_count = count


def _text_of(value: object) -> tuple[str, int]:
    """All text of nested plain data that a model reads or writes, and the number of messages in it."""
    texts: list[str] = []
    messages = 0
    pending: list[tuple[Any, int]] = [(value, 0)]
    for _ in range(_MAX_PARTS):
        if not pending:
            break
        part, depth = pending.pop()
        if isinstance(part, str):
            if part and not part.startswith("data:"):
                texts.append(part)
        elif isinstance(part, (list, tuple)) and depth < _MAX_DEPTH:
            pending.extend((item, depth + 1) for item in reversed(part))
        elif isinstance(part, dict) and depth < _MAX_DEPTH:
            if "content" in part or "role" in part:
                messages += 1
            for key in reversed(part):
                inner = part[key]
                if key in _STRUCTURED and isinstance(inner, (dict, list)):
                    inner = json.dumps(inner, ensure_ascii=False, default=str)
                if key not in _NOT_PROMPT:
                    pending.append((inner, depth + 1))
    return " ".join(texts), messages


def _encoded(encoding: Any, text: str) -> int:
    """Count in chunks cut at white space: one huge unbroken run would cost more than its length."""
    if len(text) <= _CHUNK:
        return len(encoding.encode_ordinary(text))
    total, start = 0, 0
    while start < len(text):
        end = min(start + _CHUNK, len(text))
        if end < len(text):
            cut = max(text.rfind(" ", start + _CHUNK // 2, end), text.rfind("\n", start + _CHUNK // 2, end))
            end = cut if cut > 0 else end
        total += len(encoding.encode_ordinary(text[start:end]))
        start = end
    return total


def _estimate(text: str) -> int:
    size = len(text)
    if size <= _SAMPLE_ABOVE:
        return round(_weigh(text))
    step = (size - _SLICE) // (_SLICES - 1)
    sampled = sum(_weigh(text[start : start + _SLICE]) for start in range(0, step * _SLICES, step))
    return round(sampled * size / (_SLICES * _SLICE))


def _weigh(text: str) -> float:
    """The estimate: a word is a token and long ones more, three digits one, other scripts by the character."""
    weight, plain = 0.0, text.isascii()
    long = 0.09 if plain or len(_ACCENTED.findall(text)) < len(text) / 150 else 0.28  # English words are rarely split
    for match in _PIECE.finditer(text):
        kind, size = match.lastgroup, match.end() - match.start()
        if kind == "word":
            weight += 1.0 if size <= 6 else 1.0 + long * (size - 6)
            if size > 1 and text[match.start() + 1].isupper():
                weight += 0.06 * size
            if not plain:
                weight += 0.4 * sum(letter > "ÿ" for letter in match.group())
        elif kind == "digits":
            weight += -(-size // 3)
        elif kind == "punctuation":
            weight += 0.93 + 0.12 * (size - 1)
        elif kind == "space":
            weight += 0.6
        else:
            weight += _PER_CHARACTER[kind or "other"] * size
    return weight


def _remembered(method: str, text: str, counted: Callable[[], int]) -> int:
    """System prompts repeat: the counts of longer texts are kept, by checksum, the least used leaving first."""
    if len(text) < _CACHED_FROM:
        return counted()
    key = (method, hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
    known = _counts.get(key)
    if known is None:
        known = _counts[key] = counted()
        if len(_counts) > _CACHED_COUNTS:
            _counts.popitem(last=False)
    return known


def _family(model: str) -> str:
    """`claude-sonnet` of `us.anthropic.claude-sonnet-4-5-20250929-v1:0`: models that share a tokenizer, roughly."""
    name = candidates(model)[-1][1].rpartition("/")[2] if model.strip() else ""
    return "-".join(re.split(r"[-:@]", _VENDOR.sub("", name))[:2])
