"""Model calls: LLM and embedding events as steps, streams included, which end long after their span."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from treerings import Kind, Recorder, Status
from treerings.context import OpenStep
from treerings.usage import Usage
from treerings.usage_formats.reading import member

from . import payloads
from .outcome import status_of
from .spans import Span

__all__ = ["ModelCall", "chain", "end_call", "said", "settings_of", "start_call"]

REQUEST = (
    "temperature",
    "max_tokens",
    "top_p",
    "seed",
    "stop",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
)
_REQUEST_OF_INSTANCE = ("temperature", "max_tokens", "top_p", "reasoning_effort")


_counting = threading.RLock()
"""Reentrant: the garbage collector may close a stream, and so end a call, in the middle of anything."""


class ModelCall:
    """One call of a model while it runs."""

    __slots__ = ("last", "reason", "reported", "spoken", "step")

    def __init__(self, step: OpenStep) -> None:
        self.step = step
        self.last: Any = None
        """The latest chunk, which holds all that was said so far; read when the stream ends early."""
        self.reported: Any = None
        """The provider's chunk that had the usage."""
        self.reason: str | None = None
        self.spoken = False


def chain(span: Span | None) -> Iterator[Span]:
    """The span and those around it."""
    while span is not None:
        yield span
        span = span.parent


def settings_of(instance: Any) -> dict[str, Any]:
    """The sampling parameters that a model was made with."""
    found = {}
    for name in _REQUEST_OF_INSTANCE:
        value = member(instance, name)
        if type(value) in (int, float, str):
            found[name] = value
    return found


def start_call(recorder: Recorder, span: Span, event: Any, *, chat: bool, parent: OpenStep | None) -> None:
    """A model was asked; told by its own start event, which stands for the span that it names."""
    details = event.model_dict
    model = details.get("model_name") or details.get("model")  # the one since 0.14.23, the other before
    more = event.additional_kwargs
    request = dict(span.request or {})
    request.update({name: more[name] for name in REQUEST if more.get(name) is not None})
    asked: Any = payloads.messages(event.messages) if chat else event.prompt
    tools = more.get("tools")
    if tools and chat:
        asked = {"messages": asked, "tools": tools}
    attributes: dict[str, Any] = {}
    if request:
        attributes["request"] = request
    if not chat:
        attributes["call_type"] = "completion"
    name = span.instance_name if span.role == "model" else details.get("class_name") or "LLM"
    step = recorder.start(
        Kind.LLM,
        str(name),
        source="llamaindex",
        parent=parent,
        input=payloads.take(asked, recorder.serialize),
        model=model if isinstance(model, str) else None,
        provider=span.provider,
        attributes=payloads.take(attributes) or None,
    )
    span.call = ModelCall(step)
    if span.role == "model":
        span.around = step
    with _counting:
        for item in chain(span):
            item.open_calls += 1
            if item.role == "turn":
                item.answer = step.id


def said(recorder: Recorder, call: ModelCall, response: Any) -> None:
    """A chunk came."""
    call.last = response
    raw = getattr(response, "raw", None)
    if member(raw, "usage"):
        call.reported = raw
    call.reason = _finish_reason(raw) or call.reason
    if not call.spoken and getattr(response, "delta", None):
        call.spoken = True
        recorder.update(call.step, first_token_ns=recorder.clock.monotonic_ns())


def end_call(
    recorder: Recorder,
    span: Span,
    response: Any,
    error: BaseException | None,
    *,
    status: Status | None = None,
    time_ns: int | None = None,
) -> bool:
    """A model answered or failed; whether its call was open."""
    call, span.call = span.call, None
    if call is None:
        return False
    answer = response if response is not None else call.last
    raw = getattr(answer, "raw", None)
    usage = _usage(call, answer)
    attributes = {}
    if isinstance(response_id := member(raw, "id"), str):
        attributes["response_id"] = response_id
    if (reason := _finish_reason(raw) or call.reason) is not None:
        attributes["finish_reason"] = reason
    model = member(raw, "model")
    recorder.end(
        call.step,
        status=status or status_of(error),
        output=payloads.take(payloads.text_of(answer), recorder.serialize),
        usage=usage,
        model=model if isinstance(model, str) and model else None,
        error=error if status_of(error) is Status.ERROR else None,
        attributes=attributes or None,
        time_ns=time_ns,
    )
    with _counting:
        for item in chain(span):
            item.open_calls -= 1
    return True


def _usage(call: ModelCall, answer: Any) -> Usage | None:
    """From the provider's own answer, else from what the integration copied; a stream that was told nothing says nothing."""
    for place in (getattr(answer, "raw", None), call.reported, _counts(getattr(answer, "additional_kwargs", None))):
        if place is None:
            continue
        usage = Usage.from_provider(place)
        if usage.input_tokens or usage.output_tokens or usage.cache_hit or usage.requests or usage.reported_cost_usd:
            return usage
    return None


def _counts(extra: Any) -> dict[str, Any] | None:
    """`prompt_tokens`, `completion_tokens` and their like beside the message."""
    if not isinstance(extra, dict):
        return None
    return {name: count for name, count in extra.items() if name.endswith("_tokens") and isinstance(count, int)} or None


def _finish_reason(raw: Any) -> str | None:
    if raw is None:
        return None
    choices = member(raw, "choices")
    first = choices[0] if isinstance(choices, list | tuple) and choices else raw
    for name in ("finish_reason", "stop_reason", "done_reason"):
        reason = member(first, name)
        if reason:
            return str(getattr(reason, "value", reason))
    return None
