"""The usage vector: what one model call consumed, as inclusive sums with sub-buckets."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

__all__ = ["Usage"]


@dataclass(slots=True)
class Usage:
    """Units that one call consumed, as its provider bills them.

    Every count is `None` when unknown, never 0. `input_tokens` and `output_tokens` are inclusive sums: the cache, audio and
    image buckets are parts of `input_tokens`, the reasoning and audio buckets are parts of `output_tokens`. Sub-buckets
    need not add up to their sum.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    """All cache writes, whatever their lifetime; part of `input_tokens`."""
    cache_write_1h_tokens: int | None = None
    """The part of `cache_write_tokens` that is kept for an hour (Anthropic bills it apart)."""
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    cache_read_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None
    input_video_tokens: int | None = None
    tool_prompt_tokens: int | None = None
    """Tokens of tool results that the provider put into the prompt (Gemini); part of `input_tokens`."""
    requests: dict[str, int] = field(default_factory=dict)
    """Units that are not tokens, by name: `web_search`, `search_units`, `images`, `seconds`, `characters`."""
    service_tier: str | None = None
    """`flex`, `priority`, `batch`; None for the standard tier."""
    reported_cost_usd: str | None = None
    """The cost that the response itself states, as a decimal string in USD (OpenRouter)."""
    cache_hit: bool = False
    """The answer came out of a client-side cache: nothing was billed."""

    @property
    def total_tokens(self) -> int | None:
        """Input and output together; None when both are unknown."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    def as_dict(self) -> dict[str, Any]:
        """The known entries only, as plain data."""
        known: dict[str, Any] = {}
        for name in _NAMES:
            value = getattr(self, name)
            if value is not None and value is not False and value != {}:
                known[name] = value
        return known


_NAMES = tuple(f.name for f in fields(Usage))
