"""One request of the SDK as a step, from its body to the end of its answer."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from treerings import Kind, Status
from treerings.streams import follow_async_generator
from treerings.wrapping import Call

from . import answers, prompts
from .answers import Chunks, Facts

__all__ = ["SOURCE", "SdkCall", "asked_last", "start"]

SOURCE = "google"

_PLACE = re.compile(r"(?:^|/)((?:tunedModels/|endpoints/)?[^/:?]+):(\w+)(?:\?|$)")
_asked: ContextVar[str | None] = ContextVar("treerings_google_asked", default=None)


def asked_last() -> str | None:
    """The id of the step of the model call that ran last in this context: the one whose functions are called."""
    return _asked.get()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is known of the requests to one of the verbs."""

    name: str
    input: Callable[[Mapping[str, Any]], Any]
    read: Callable[[Any], Facts]
    kind: Kind = Kind.LLM
    call_type: str | None = None


_GENERATE = Endpoint("generate_content", prompts.conversation, answers.generated)
_EMBED = Endpoint("embed_content", prompts.texts, answers.embeddings, Kind.EMBEDDING, "embedding")
_IMAGES = Endpoint("generate_images", prompts.instances, answers.images, call_type="image")
_ENDPOINTS = {
    "generateContent": _GENERATE,
    "streamGenerateContent": _GENERATE,
    "embedContent": _EMBED,
    "batchEmbedContents": _EMBED,
}
"""By verb; `predict` is embedding or making images, by its body. Counting tokens is free, and videos come another time."""


def start(client: Any, method: str, path: str, body: Any) -> SdkCall | None:
    """A call for this request of the SDK's `BaseApiClient`; None for one that is no model call."""
    place = _PLACE.search(path)
    if place is None or method.lower() != "post" or not isinstance(body, Mapping):
        return None
    model, verb = place.groups()
    endpoint = _ENDPOINTS.get(verb) or (_predicted(body) if verb == "predict" else None)
    if endpoint is None:
        return None
    attributes = prompts.attributes_of(body)
    if verb == "streamGenerateContent":
        attributes["request"] = {**attributes.get("request", {}), "stream": True}
    if endpoint.call_type:
        attributes["call_type"] = endpoint.call_type
    call = SdkCall.start(
        endpoint.kind,
        endpoint.name,
        source=SOURCE,
        input=endpoint.input(body),
        model=model,
        provider="google-vertex" if getattr(client, "vertexai", False) else "google",
        attributes=attributes or None,
    )
    if call is not None:
        call.endpoint, call.chunks = endpoint, Chunks()
        if endpoint.kind is Kind.LLM:
            _asked.set(call.step.id)
    return call


class SdkCall(Call):
    """A request on its way; a streamed answer is gathered while the program reads it."""

    __slots__ = ("chunks", "endpoint")

    endpoint: Endpoint
    chunks: Chunks

    def finish(self, result: Any) -> Any:
        if isinstance(result, AsyncIterator):
            return follow_async_generator(result, self)
        self._conclude(self.endpoint.read(_json(result)))
        return result

    @property
    def complete(self) -> bool:
        return self.chunks.complete

    def take(self, item: Any) -> bool:
        return self.chunks.take(_json(item))

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        self._conclude(self.chunks.facts(), status=status, error=error, time_ns=time_ns)

    def _conclude(
        self,
        facts: Facts,
        *,
        status: Status = Status.OK,
        error: BaseException | None = None,
        time_ns: int | None = None,
    ) -> None:
        self.end(
            status=status,
            output=facts.output,
            usage=facts.usage,
            model=facts.model,
            response_id=facts.response_id,
            error=error,
            attributes=facts.attributes or None,
            time_ns=time_ns,
        )


def _predicted(body: Mapping[str, Any]) -> Endpoint:
    given = body.get("instances")
    first = given[0] if isinstance(given, list) and given else None
    return _EMBED if isinstance(first, dict) and "content" in first else _IMAGES


def _json(response: Any) -> Any:
    """The body of the SDK's response object: text."""
    body = getattr(response, "body", None)
    try:
        return json.loads(body) if body else None
    except ValueError:  # what a proxy says
        return None
