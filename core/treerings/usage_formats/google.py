"""Google's usage metadata, of Gemini's API and Vertex, in camel or snake case.

`promptTokenCount` includes the cached content but not what server-side tools put into the prompt;
`candidatesTokenCount` excludes the thoughts. https://ai.google.dev/api/generate-content#UsageMetadata
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..usage import Usage
from .reading import count, mapping, tier, total

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_google", "read_generation"]

_MODALITIES = {1: "text", 2: "image", 3: "video", 4: "audio", 5: "document"}  # google.cloud.aiplatform Modality
_FOLDED = {"document": "image"}  # a PDF's pages are billed as images
_SNAKE = {
    "promptTokenCount": "prompt_token_count",
    "candidatesTokenCount": "candidates_token_count",
    "responseTokenCount": "response_token_count",
    "thoughtsTokenCount": "thoughts_token_count",
    "toolUsePromptTokenCount": "tool_use_prompt_token_count",
    "cachedContentTokenCount": "cached_content_token_count",
    "totalTokenCount": "total_token_count",
    "promptTokensDetails": "prompt_tokens_details",
    "candidatesTokensDetails": "candidates_tokens_details",
    "responseTokensDetails": "response_tokens_details",
    "cacheTokensDetails": "cache_tokens_details",
    "toolUsePromptTokensDetails": "tool_use_prompt_tokens_details",
    "trafficType": "traffic_type",
    "serviceTier": "service_tier",
}
_TRAFFIC_TYPES = {2: "provisioned", 3: "priority", 4: "flex"}
_COUNTS = [name for name in _SNAKE if name.endswith("Count")]


def is_google(raw: Mapping[str, Any]) -> bool:
    """Whether the object has a count under one of Google's names (Llama on Bedrock shares `prompt_token_count`)."""
    if any(name in raw for name in _COUNTS):
        return True
    return (
        any(_SNAKE[name] in raw for name in _COUNTS) and "generation_token_count" not in raw and "generation" not in raw
    )


def read_generation(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """Input is prompt and tool prompt, output is candidates and thoughts."""

    def get(name: str) -> Any:
        value = raw.get(name)
        return raw.get(_SNAKE[name]) if value is None else value

    prompt, tools = count(get("promptTokenCount")), count(get("toolUsePromptTokenCount"))
    answered = count(get("candidatesTokenCount"))
    if answered is None:
        answered = count(get("responseTokenCount"))  # the Live API's name
    thoughts = count(get("thoughtsTokenCount"))
    inputs = _modalities(get("promptTokensDetails"), get("toolUsePromptTokensDetails"))
    outputs = _modalities(get("candidatesTokensDetails") or get("responseTokensDetails"))
    cached = _modalities(get("cacheTokensDetails"))
    return Usage(
        input_tokens=None if prompt is None else total(prompt, tools),
        output_tokens=total(answered, thoughts),
        cache_read_tokens=count(get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
        input_audio_tokens=inputs.get("audio"),
        output_audio_tokens=outputs.get("audio"),
        cache_read_audio_tokens=cached.get("audio"),
        cache_read_image_tokens=cached.get("image"),
        input_image_tokens=inputs.get("image"),
        output_image_tokens=outputs.get("image"),
        input_video_tokens=inputs.get("video"),
        output_video_tokens=outputs.get("video"),
        tool_prompt_tokens=tools,
        service_tier=tier(get("serviceTier")) or _traffic(get("trafficType")),
    )


def _modalities(*lists: object) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entries in lists:
        if not isinstance(entries, (list, tuple)):
            continue
        for entry in entries:
            details = mapping(entry)
            modality = details.get("modality")
            modality = getattr(modality, "value", modality)  # an enum of the SDK
            name = _MODALITIES.get(modality) if isinstance(modality, int) else str(modality).lower()
            name = _FOLDED.get(name or "", name or "")
            tokens = count(details.get("tokenCount"))
            if tokens is None:
                tokens = count(details.get("token_count"))
            if tokens is not None:
                counts[name] = counts.get(name, 0) + tokens
    return counts


def _traffic(value: object) -> str | None:
    value = getattr(value, "value", value)
    return _TRAFFIC_TYPES.get(value) if isinstance(value, int) else tier(value)
