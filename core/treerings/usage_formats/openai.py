"""OpenAI's usage objects and those of the many who follow them.

`prompt_tokens` (chat, completions, embeddings) and `input_tokens` (responses, images, audio) include the cached, audio
and image parts; `completion_tokens` and `output_tokens` include reasoning, audio and all prediction tokens.
https://platform.openai.com/docs/api-reference/chat/object, .../responses/object, .../images/object
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from ..usage import Usage
from .reading import count, first, mapping, tier

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_chat", "read_duration", "read_pages", "read_responses", "read_total"]

_TICKS_PER_USD = 10**10  # https://docs.x.ai/developers/cost-tracking


def read_chat(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """`prompt_tokens` and `completion_tokens`: chat, completions, embeddings."""
    usage = Usage(
        input_tokens=count(raw.get("prompt_tokens")),
        output_tokens=count(raw.get("completion_tokens")),
        service_tier=tier(raw.get("service_tier")),
    )
    # Writer and AutoGen's older clients spell the details in the singular.
    _details(usage, raw, ("prompt_tokens_details", "prompt_token_details"), _INPUT_DETAILS)
    _details(usage, raw, ("completion_tokens_details", "completion_token_details"), _OUTPUT_DETAILS)
    if usage.cache_read_tokens is None:
        # DeepSeek; Together and Moonshot; Mistral; CrewAI's sums; LiteLLM's Anthropic answers
        usage.cache_read_tokens = first(
            raw,
            "prompt_cache_hit_tokens",
            "cached_tokens",
            "num_cached_tokens",
            "cached_prompt_tokens",
            "cached_prompt_text_tokens",
            "cache_read_input_tokens",
        )
    if usage.cache_write_tokens is None:
        usage.cache_write_tokens = first(raw, "cache_creation_input_tokens", "cache_creation_tokens")
    if usage.reasoning_tokens is None:
        usage.reasoning_tokens = count(raw.get("reasoning_tokens"))
    _add_what_the_sum_leaves_out(usage, raw, provider)
    if usage.input_tokens is None and (usage.output_tokens is not None or "completion_tokens" not in raw):
        # The latter: Voyage's embeddings as an object of OpenAI's SDK, which has `prompt_tokens` all the same, as None.
        whole, answered = count(raw.get("total_tokens")), usage.output_tokens or 0
        if whole is not None and whole >= answered:
            usage.input_tokens = whole - answered
    _requests(usage, raw)
    usage.reported_cost_usd = _cost(raw)
    return usage


def read_responses(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """`input_tokens` and `output_tokens` as inclusive sums: responses, images, transcription, realtime, LangChain."""
    usage = Usage(
        input_tokens=count(raw.get("input_tokens")),
        output_tokens=count(raw.get("output_tokens")),
        service_tier=tier(raw.get("service_tier")),
    )
    _details(usage, raw, ("input_tokens_details", "input_token_details"), _INPUT_DETAILS)
    _details(usage, raw, ("output_tokens_details", "output_token_details"), _OUTPUT_DETAILS)
    _requests(usage, raw)
    usage.reported_cost_usd = _cost(raw)
    return usage


def read_total(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """Only `total_tokens`: Voyage and Jina, whose embeddings and rankings have no output to bill."""
    return Usage(input_tokens=count(raw.get("total_tokens")), reported_cost_usd=_cost(raw))


def read_duration(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """`{"type": "duration", "seconds": 3}`: transcription billed by time; a begun second counts."""
    usage = Usage()
    _requests(usage, raw)
    return usage


def read_pages(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """Mistral's `usage_info` of a document."""
    pages = count(raw.get("pages_processed"))
    return Usage(requests={"pages": pages} if pages else {})


_INPUT_DETAILS = {
    "cached_tokens": "cache_read_tokens",
    "cache_read": "cache_read_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_creation": "cache_write_tokens",
    "cache_creation_tokens": "cache_write_tokens",
    "audio_tokens": "input_audio_tokens",
    "audio": "input_audio_tokens",
    "image_tokens": "input_image_tokens",
    "video_tokens": "input_video_tokens",
}
_OUTPUT_DETAILS = {
    "reasoning_tokens": "reasoning_tokens",
    "reasoning": "reasoning_tokens",
    "thinking_tokens": "reasoning_tokens",
    "audio_tokens": "output_audio_tokens",
    "audio": "output_audio_tokens",
    "image_tokens": "output_image_tokens",
    "video_tokens": "output_video_tokens",
}
_CACHED_DETAILS = {"audio_tokens": "cache_read_audio_tokens", "image_tokens": "cache_read_image_tokens"}


def _details(usage: Usage, raw: Mapping[str, Any], places: tuple[str, ...], names: Mapping[str, str]) -> None:
    for place in places:
        details = mapping(raw.get(place))
        for name in details:
            field = names.get(name)
            if field is None:
                continue
            known = count(details[name])
            if known is not None and getattr(usage, field) is None:
                setattr(usage, field, known)
        if names is _INPUT_DETAILS and details:
            _details(usage, details, ("cached_tokens_details",), _CACHED_DETAILS)


def _add_what_the_sum_leaves_out(usage: Usage, raw: Mapping[str, Any], provider: str | None) -> None:
    """xAI's `completion_tokens` lacks the reasoning, Perplexity's also the citations; both are billed as output."""
    if usage.output_tokens is None:
        return
    citations = count(raw.get("citation_tokens"))
    if citations is not None or "num_search_queries" in raw:
        usage.citation_tokens = citations
        usage.output_tokens += (citations or 0) + (count(raw.get("reasoning_tokens")) or 0)
        return
    reasoning, whole = usage.reasoning_tokens, count(raw.get("total_tokens"))
    if not reasoning or usage.input_tokens is None:
        return
    apart = usage.input_tokens + usage.output_tokens + reasoning
    if whole == apart or (whole is None and (provider == "xai" or reasoning > usage.output_tokens)):
        usage.output_tokens += reasoning


def _requests(usage: Usage, raw: Mapping[str, Any]) -> None:
    searches = first(raw, "num_search_queries") or count(mapping(raw.get("server_tool_use")).get("web_search_requests"))
    if searches:
        usage.requests["web_search"] = searches
    sources = count(raw.get("num_sources_used"))  # xAI's live search
    if sources:
        usage.requests["sources"] = sources
    for name in ("seconds", "prompt_audio_seconds"):
        seconds = raw.get(name)
        if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 < seconds < 1e9:
            usage.requests["seconds"] = -int(-seconds // 1)


def _cost(raw: Mapping[str, Any]) -> str | None:
    """What the answer says it cost, in USD.

    OpenRouter: `cost`, to which the upstream provider's bill comes when the key is the caller's own (`is_byok`).
    https://openrouter.ai/docs/use-cases/usage-accounting. xAI: `cost_in_usd_ticks`. Perplexity: `cost.total_cost`.
    """
    ticks = count(raw.get("cost_in_usd_ticks"))
    if ticks is not None:
        return _text(Decimal(ticks) / _TICKS_PER_USD)
    stated = raw.get("cost")
    if stated is None:
        return None
    cost = _decimal(stated if isinstance(stated, (int, float)) else mapping(stated).get("total_cost"))
    if cost is None:
        return None
    if raw.get("is_byok") is True:
        cost += _decimal(mapping(raw.get("cost_details")).get("upstream_inference_cost")) or 0
    return _text(cost)


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = Decimal(repr(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and number >= 0 else None


def _text(value: Decimal) -> str:
    return format(value.normalize(), "f")
