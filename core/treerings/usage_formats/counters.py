"""Providers that write counts into the answer itself, without a usage object: Ollama, watsonx, Aleph Alpha, and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..usage import Usage
from .reading import count, mapping, member, total

if TYPE_CHECKING:
    from collections.abc import Mapping

    from . import Reader

__all__ = ["read_ollama", "reader_of"]


def reader_of(raw: Mapping[str, Any]) -> Reader | None:
    """Which of these formats a body is."""
    if "num_tokens_prompt_total" in raw or "num_tokens_generated" in raw:
        return read_aleph_alpha
    if any("generated_token_count" in mapping(result) for result in _listed(raw, "results")):
        return read_watsonx
    if count(member(raw.get("details"), "generated_tokens")) is not None:
        return read_text_generation
    if mapping(member(raw.get("metadata"), "tokenMetadata")):
        return read_palm
    if any(_embedded(prediction) is not None for prediction in _listed(raw, "predictions")):
        return read_vertex_embeddings
    metrics = mapping(raw.get("metrics"))
    if "input_token_count" in metrics or "output_token_count" in metrics:
        return read_replicate
    if raw.get("task") in ("transcribe", "translate") and "duration" in raw:
        return read_transcription
    return None


def read_ollama(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """`prompt_eval_count` is missing when the prompt was still in memory: the input is unknown then.

    https://github.com/ollama/ollama/blob/main/docs/api.md
    """
    return Usage(input_tokens=count(raw.get("prompt_eval_count")), output_tokens=count(raw.get("eval_count")))


def read_aleph_alpha(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """https://docs.aleph-alpha.com/api/complete/"""
    return Usage(
        input_tokens=count(raw.get("num_tokens_prompt_total")), output_tokens=count(raw.get("num_tokens_generated"))
    )


def read_watsonx(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """https://cloud.ibm.com/apidocs/watsonx-ai#text-generation"""
    results = [mapping(result) for result in _listed(raw, "results")]
    return Usage(
        input_tokens=total(*(count(result.get("input_token_count")) for result in results)),
        output_tokens=total(*(count(result.get("generated_token_count")) for result in results)),
    )


def read_text_generation(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """Hugging Face's text generation server: the prompt's tokens only when asked for (`prefill`)."""
    details = mapping(raw.get("details"))
    prefill = details.get("prefill")
    return Usage(
        input_tokens=len(prefill) if isinstance(prefill, list) and prefill else None,
        output_tokens=count(details.get("generated_tokens")),
    )


def read_palm(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """Vertex' language models before Gemini."""
    tokens = mapping(member(raw.get("metadata"), "tokenMetadata"))
    return Usage(
        input_tokens=count(member(tokens.get("inputTokenCount"), "totalTokens")),
        output_tokens=count(member(tokens.get("outputTokenCount"), "totalTokens")),
    )


def read_vertex_embeddings(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api"""
    return Usage(input_tokens=total(*(_embedded(prediction) for prediction in _listed(raw, "predictions"))))


def read_replicate(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """https://replicate.com/docs/reference/http#predictions.get"""
    metrics = mapping(raw.get("metrics"))
    return Usage(
        input_tokens=count(metrics.get("input_token_count")), output_tokens=count(metrics.get("output_token_count"))
    )


def read_transcription(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """A verbose transcription of Whisper gives the length of the audio, which is what is billed."""
    try:
        duration = float(raw["duration"])
    except (TypeError, ValueError):
        return Usage()
    return Usage(requests={"seconds": -int(-duration // 1)} if 0 < duration < 1e9 else {})


def _listed(raw: Mapping[str, Any], name: str) -> list[Any]:
    entries = raw.get(name)
    return entries if isinstance(entries, list) else []


def _embedded(prediction: object) -> int | None:
    return count(member(member(member(prediction, "embeddings"), "statistics"), "token_count"))
