"""The usage vector: what one model call consumed, as inclusive sums with sub-buckets."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Usage"]


@dataclass(slots=True)
class Usage:
    """Units that one call consumed, as its provider bills them.

    Every count is `None` when unknown, never 0. `input_tokens` and `output_tokens` are inclusive sums: the cache,
    audio, image and video buckets are parts of `input_tokens`, those of the output and the reasoning are parts of
    `output_tokens`. Sub-buckets need not add up to their sum.
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
    cache_read_image_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None
    input_video_tokens: int | None = None
    output_video_tokens: int | None = None
    citation_tokens: int | None = None
    """Tokens of quoted sources that the provider bills as output (Perplexity); part of `output_tokens`."""
    tool_prompt_tokens: int | None = None
    """Tokens of tool results that the provider put into the prompt (Gemini); part of `input_tokens`."""
    requests: dict[str, int] = field(default_factory=dict)
    """Units that are not tokens, by name: `web_search`, `file_search`, `search_units`, `images`, `seconds`, `pages`,
    `characters`."""
    service_tier: str | None = None
    """`flex`, `priority`, `batch`, `fast`, `provisioned`; None for the standard tier."""
    reported_cost_usd: str | None = None
    """The cost that the response itself states, as a decimal string in USD (OpenRouter, xAI, Perplexity)."""
    cache_hit: bool = False
    """The answer came out of a client-side cache: nothing was billed."""

    @classmethod
    def from_provider(cls, payload: object, provider: str | None = None) -> Usage:
        """Read the usage out of a provider's answer; what the answer does not say stays None.

        `payload` is the whole response body, the bare usage object, or an SDK object of either; text and lists are read
        as by `from_stream`. The format is recognised by its shape; `provider` only decides between providers that use
        one name for two things. Never raises, whatever `payload` is.
        """
        from .usage_formats import from_payload

        return from_payload(payload, provider)

    @classmethod
    def from_stream(cls, events: str | bytes | Iterable[object], provider: str | None = None) -> Usage:
        """Read the usage out of a streamed answer.

        `events` is the raw text (server-sent events, JSON lines, a JSON array, AWS event-stream frames as bytes or
        base64) or the events themselves. Counts that a stream repeats are cumulative: they are never added up.
        """
        from .usage_formats import from_stream

        return from_stream(events, provider)

    @property
    def total_tokens(self) -> int | None:
        """Input and output together; None when both are unknown."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    @property
    def is_by_units(self) -> bool:
        """Whether the call was counted in other units than tokens, and in those only: seconds, images, characters."""
        return self.total_tokens is None and not _UNITS.isdisjoint(self.requests)

    def as_dict(self) -> dict[str, Any]:
        """The known entries only, as plain data."""
        known: dict[str, Any] = {}
        for name in _NAMES:
            value = getattr(self, name)
            if value is not None and value is not False and value != {}:
                known[name] = value
        return known


_UNITS = frozenset({"characters", "images", "pages", "search_units", "seconds"})
"""Of `requests`, what a call is billed by instead of tokens; searches are billed beside them."""
_NAMES = tuple(f.name for f in fields(Usage))
