"""From a reply to the HTTP answer that carries it, in the format of the path that was asked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from treerings.testing.model_anthropic import MESSAGES, anthropic_error, token_count
from treerings.testing.model_audio import AUDIO
from treerings.testing.model_formats import CHAT, TEXT, embeddings, moderations, openai_error
from treerings.testing.model_gemini import (
    CONTENTS,
    content_embedding,
    content_embeddings,
    content_token_count,
    google_error,
)
from treerings.testing.model_http import HttpResponse
from treerings.testing.model_parts import Format, encode, measure
from treerings.testing.model_responses import RESPONSES
from treerings.testing.model_script import Answer, Failure, ModelServerError
from treerings.testing.model_usage import UsageTotal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from treerings.testing.model_request import ModelRequest

__all__ = ["COMPLETIONS", "error_response", "failure_response", "json_response", "rendered", "streamed", "unscripted"]

_FORMATS: dict[str, Format] = {
    "chat/completions": CHAT,
    "completions": TEXT,
    "responses": RESPONSES,
    "messages": MESSAGES,
    "generateContent": CONTENTS,
    "streamGenerateContent": CONTENTS,
}
COMPLETIONS = frozenset(_FORMATS)
"""The endpoints that take scripted replies."""
_UNSCRIPTED: dict[str, Callable[[ModelRequest, int], tuple[dict[str, Any], UsageTotal | None]]] = {
    "embeddings": embeddings,
    "moderations": moderations,
    "messages/count_tokens": token_count,
    "embedContent": content_embedding,
    "batchEmbedContents": content_embeddings,
    "countTokens": content_token_count,
}
_NO_RETRY = {"x-should-retry": "false"}
_SILENT = UsageTotal(calls=1, calls_without_usage=1)


def json_response(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A whole answer."""
    return HttpResponse(status, "application/json", [encode(body)], headers or {})


def error_response(request: ModelRequest, status: int, message: str, *, code: str | None = None) -> HttpResponse:
    """An error of the server's own, which the client shall not retry."""
    return json_response(_error_body(request, status, message, code), status=status, headers=_NO_RETRY)


def failure_response(request: ModelRequest, failure: Failure, delay: float) -> HttpResponse:
    """A failure that the script asked for."""
    headers = dict(failure.headers)
    if failure.retry_after is not None:
        # the SDK takes 0 for "not said" and backs off on its own, so the least it can wait is a millisecond
        headers["retry-after"] = str(math.ceil(failure.retry_after))
        headers["retry-after-ms"] = str(max(1, round(failure.retry_after * 1000)))
    message = failure.message or f"The model server was told to fail with status {failure.status}."
    body = _error_body(request, failure.status, message, failure.code)
    response = json_response(body, status=failure.status, headers=headers)
    response.delay = delay
    return response


def _error_body(request: ModelRequest, status: int, message: str, code: str | None) -> dict[str, Any]:
    if request.endpoint.startswith("messages"):
        return anthropic_error(status, message, code)
    if ":" in request.path.rpartition("/")[2]:  # models/{model}:{verb}
        return google_error(status, message, code)
    return openai_error(status, message, code)


def rendered(request: ModelRequest, answer: Answer, number: int) -> tuple[HttpResponse, UsageTotal]:
    """The answer in the format of the endpoint, and the usage that it tells the client."""
    if (sound := AUDIO.get(request.endpoint)) is not None:
        return sound(request, answer)
    written = _FORMATS.get(request.endpoint)
    if written is None:
        raise ModelServerError(f"An answer cannot be given on {request.endpoint}; fail(...) and drop(...) can.")
    whole = written.whole(request, answer, number)
    usage = measure(request, answer)[0] if answer.report_usage else _SILENT
    if request.stream:
        return streamed(request, whole, usage)
    return json_response(whole), written.told(usage, request) or _SILENT


def streamed(
    request: ModelRequest, whole: Mapping[str, Any], usage: UsageTotal, *, status: int = 200
) -> tuple[HttpResponse, UsageTotal]:
    """The stream that adds up to this answer, and what it tells the client of this usage."""
    written = _FORMATS[request.endpoint]
    parts = written.chunks(whole, request)
    kind = "application/json" if parts[0].startswith(b"[") else "text/event-stream; charset=utf-8"
    return HttpResponse(status, kind, parts, streamed=True), written.told(usage, request) or _SILENT


def unscripted(request: ModelRequest, number: int) -> tuple[HttpResponse, UsageTotal] | None:
    """The answer of an endpoint that needs no script, and the usage that it tells; None for others."""
    answer = _UNSCRIPTED.get(request.endpoint)
    if answer is None:
        return None
    body, usage = answer(request, number)
    return json_response(body), usage or UsageTotal()
