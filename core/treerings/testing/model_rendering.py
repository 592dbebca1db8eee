"""From a scripted reply to the HTTP answer that carries it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from treerings.testing import model_formats as formats
from treerings.testing.model_http import HttpResponse
from treerings.testing.model_responses import response_events, response_object
from treerings.testing.model_script import Answer, Failure, ModelServerError
from treerings.testing.model_usage import UsageTotal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from treerings.testing.model_request import ModelRequest

__all__ = ["COMPLETIONS", "error_response", "failure_response", "json_response", "rendered"]

COMPLETIONS = frozenset({"chat/completions", "completions", "responses"})
"""The endpoints that take scripted replies."""
_NO_RETRY = {"x-should-retry": "false"}


def json_response(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A whole answer."""
    return HttpResponse(status, "application/json", [formats.encode(body)], headers or {})


def error_response(status: int, message: str, *, code: str | None = None) -> HttpResponse:
    """An error of the server's own, which the client shall not retry."""
    return json_response(formats.error_body(status, message, code=code), status=status, headers=_NO_RETRY)


def failure_response(failure: Failure, delay: float) -> HttpResponse:
    """A failure that the script asked for."""
    headers = dict(failure.headers)
    if failure.retry_after is not None:
        # the SDK takes 0 for "not said" and backs off on its own, so the least it can wait is a millisecond
        headers["retry-after"] = str(math.ceil(failure.retry_after))
        headers["retry-after-ms"] = str(max(1, round(failure.retry_after * 1000)))
    body = formats.error_body(failure.status, failure.message, code=failure.code)
    response = json_response(body, status=failure.status, headers=headers)
    response.delay = delay
    return response


def rendered(request: ModelRequest, answer: Answer, number: int) -> tuple[HttpResponse, UsageTotal]:
    """The answer in the format of the endpoint, and the usage that it tells the client."""
    usage, _ = formats.measure(request, answer)
    silent = UsageTotal(calls=1, calls_without_usage=1)
    if request.endpoint == "responses":
        response = response_object(request, answer, number)
        parts = response_events(response) if request.stream else [formats.encode(response)]
    elif request.endpoint in COMPLETIONS:
        include_usage = bool((request.data.get("stream_options") or {}).get("include_usage"))
        if request.stream and not include_usage:
            usage = silent
        build, chunks = (
            (formats.chat_completion, formats.chat_chunks)
            if request.endpoint == "chat/completions"
            else (formats.text_completion, formats.text_chunks)
        )
        completion = build(request, answer, number)
        parts = chunks(completion, include_usage=include_usage) if request.stream else [formats.encode(completion)]
    else:
        raise ModelServerError(f"An answer cannot be given on {request.endpoint}; fail(...) and drop(...) can.")
    content_type = "text/event-stream; charset=utf-8" if request.stream else "application/json"
    whole = HttpResponse(200, content_type, parts, streamed=request.stream)
    return whole, usage if answer.report_usage else silent
