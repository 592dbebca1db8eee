"""Token numbers of the model server: counted from text, overridden by a script, totalled over what was served."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TypedDict

__all__ = ["UsageOverrides", "UsageTotal", "count_tokens"]

_TOKEN = re.compile(r"\w+|[^\w\s]")


def count_tokens(text: str) -> int:
    """The server's own count: one token for a word or a number, one for every other printed character."""
    return len(_TOKEN.findall(text))


class UsageOverrides(TypedDict, total=False):
    """What a scripted answer reports instead of what the server counts.

    The names and their meaning are those of `treerings.usage.Usage`: `input_tokens` and `output_tokens` are sums that
    include the others.
    """

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    input_audio_tokens: int
    output_audio_tokens: int
    service_tier: str


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """Tokens that answers reported, added up; `input_tokens` and `output_tokens` are inclusive sums."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    calls: int = 0
    """Answers of a model that arrived whole, embeddings included."""
    calls_without_usage: int = 0
    """Those of `calls` that told the client no usage, such as a stream without `include_usage`."""

    def __add__(self, other: UsageTotal) -> UsageTotal:
        return UsageTotal(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens
