"""The requests that are model calls, by their path, and what each says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from treerings import Kind

from . import answers, prompts, streamed
from .answers import Facts
from .streamed import Fold

__all__ = ["Endpoint", "endpoint_of"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is known of the requests to one path."""

    name: str
    input: Callable[[dict[str, Any]], Any]
    """The prompt out of the request's body."""
    read: Callable[[Any, str | None], Facts]
    """What an answer's body says, the SDK's object or the plain JSON; the provider decides where formats differ."""
    fold: Callable[[Callable[[Any, str | None], Facts], str | None], Fold]
    """Gathers a streamed answer."""
    kind: Kind = Kind.LLM
    call_type: str | None = None


_IMAGE: dict[str, Any] = {
    "input": prompts.text("prompt"),
    "read": answers.images,
    "fold": streamed.Events,
    "call_type": "image",
}
_HEARD: dict[str, Any] = {
    "input": prompts.text("prompt"),
    "read": answers.transcription,
    "fold": streamed.Events,
    "call_type": "transcription",
}
_ENDPOINTS = {
    "/chat/completions": Endpoint("chat.completions", prompts.messages, answers.choices, streamed.Choices),
    "/completions": Endpoint(
        "completions", prompts.text("prompt"), answers.choices, streamed.Choices, call_type="completion"
    ),
    "/responses": Endpoint("responses", prompts.items, answers.response, streamed.Events),
    "/responses/compact": Endpoint("responses.compact", prompts.items, answers.response, streamed.Events),
    "/embeddings": Endpoint(
        "embeddings",
        prompts.text("input"),
        answers.embeddings,
        streamed.Events,
        kind=Kind.EMBEDDING,
        call_type="embedding",
    ),
    "/images/generations": Endpoint("images.generate", **_IMAGE),
    "/images/edits": Endpoint("images.edit", **_IMAGE),
    "/images/variations": Endpoint("images.variation", **_IMAGE),
    "/audio/transcriptions": Endpoint("audio.transcriptions", **_HEARD),
    "/audio/translations": Endpoint("audio.translations", **_HEARD),
    "/audio/speech": Endpoint(
        "audio.speech", prompts.text("input"), answers.speech, streamed.Events, call_type="speech"
    ),
    "/moderations": Endpoint(
        "moderations", prompts.text("input"), answers.moderation, streamed.Events, call_type="moderation"
    ),
}
_BY_LENGTH = sorted(_ENDPOINTS.items(), key=lambda item: -len(item[0]))


def endpoint_of(method: str, url: str) -> Endpoint | None:
    """The endpoint that a request goes to; None for all that is no model call: files, batches, stored answers, models."""
    if method.lower() != "post":
        return None
    path = url.partition("?")[0].rstrip("/")
    known = _ENDPOINTS.get(path)
    if known is not None:
        return known
    for end, endpoint in _BY_LENGTH:  # an absolute URL, a deployment, a gateway's prefix
        if path.endswith(end):
            return endpoint
    return None
