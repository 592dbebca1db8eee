"""What dspy knows of a model call: its request, and from the model's history its usage."""

from __future__ import annotations

from itertools import islice
from typing import Any

from treerings import Recorder, Usage
from treerings.context import OpenStep

__all__ = ["end_model_call", "prompt_and_request", "provider_and_model"]

REQUEST = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "seed",
    "stop",
    "n",
    "reasoning_effort",
    "rollout_id",
)
LOOK_BACK = 200
"""Entries of a history that are looked through: so many calls of one model may end at once."""


def provider_and_model(lm: Any) -> tuple[str | None, str | None]:
    """`openai/gpt-4o-mini` is a provider and a model."""
    model = getattr(lm, "model", None)
    if not isinstance(model, str):
        return None, None
    provider, slash, name = model.partition("/")
    return (provider, name) if slash else (None, model)


def prompt_and_request(lm: Any, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The prompt, and the parameters of the request: those of the model, then those of the call."""
    given = inputs.get("kwargs") or {}
    prompt = inputs.get("messages") or inputs.get("prompt") or given.get("request") or inputs.get("request")
    merged = {**(getattr(lm, "kwargs", None) or {}), **given}
    return prompt, {name: merged[name] for name in REQUEST if merged.get(name) is not None}


def end_model_call(recorder: Recorder, step: OpenStep, lm: Any, outputs: Any) -> None:
    """End a call with what the entry says that the model has just written for it."""
    entry = _entry(lm, outputs)
    usage: Usage | None = None
    attributes: dict[str, Any] = {}
    model = None
    if entry is not None:
        response = entry.get("response")
        usage = _usage(entry, response)
        model = entry.get("response_model")
        for name, key in (("id", "response_id"), ("finish_reason", "finish_reason")):
            value = getattr(response, name, None)
            if isinstance(value, str) and value:
                attributes[key] = value
    recorder.end(
        step,
        output=recorder.snapshot(outputs[0] if isinstance(outputs, list) and len(outputs) == 1 else outputs),
        usage=usage,
        model=model if isinstance(model, str) and model else None,
        attributes=attributes or None,
    )


def _entry(lm: Any, outputs: Any) -> dict[str, Any] | None:
    """The entry of this very call: it holds the same object, so that calls of other threads are not taken for it."""
    history = getattr(lm, "history", None) or ()
    for entry in islice(reversed(list(history[-LOOK_BACK:])), LOOK_BACK):
        if isinstance(entry, dict) and (entry.get("outputs") is outputs or entry.get("response") is outputs):
            return entry
    return None


def _usage(entry: dict[str, Any], response: Any) -> Usage | None:
    told = entry.get("usage")
    usage = Usage.from_provider(told) if told else None
    if usage is not None and usage.total_tokens:
        return usage
    past = getattr(response, "usage", None)  # an answer out of dspy's cache: billed once, when it was made
    if past is not None and any(isinstance(value, int) and value > 0 for value in _values(past)):
        return Usage(cache_hit=True)
    return None


def _values(usage: Any) -> list[Any]:
    if isinstance(usage, dict):
        return list(usage.values())
    names = getattr(type(usage), "__dataclass_fields__", None) or getattr(type(usage), "model_fields", None)
    if names is None:
        return list(getattr(usage, "__dict__", {}).values())
    return [getattr(usage, name, None) for name in names]
