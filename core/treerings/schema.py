"""The border: events and steps as JSON data, validated by pydantic on the way in."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from .errors import InvalidEvent
from .events import Event, StepEnded, StepStarted, StepUpdated
from .records import Step

__all__ = ["dump_event", "dump_json", "dump_step", "load_event", "load_step"]

_EVENTS: dict[str, type[StepStarted] | type[StepUpdated] | type[StepEnded]] = {
    "step_started": StepStarted,
    "step_updated": StepUpdated,
    "step_ended": StepEnded,
}
_NAMES = {cls: name for name, cls in _EVENTS.items()}


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def load_event(data: object) -> Event:
    """An event from a mapping with `type` (`step_started`, `step_updated`, `step_ended`); raises `InvalidEvent`."""
    if not isinstance(data, dict) or data.get("type") not in _EVENTS:
        raise InvalidEvent(f"An event is a mapping whose 'type' is one of {', '.join(_EVENTS)}; got {data!r:.200}")
    fields = {key: value for key, value in data.items() if key != "type"}
    event: Event = _load(_EVENTS[data["type"]], fields)
    return event


def dump_event(event: Event) -> dict[str, Any]:
    """The event as plain data, unknown fields left out; `load_event` reads it back."""
    known = {key: value for key, value in asdict(event).items() if value is not None}
    return {"type": _NAMES[type(event)], **known}


def load_step(data: object) -> Step:
    """A step from what `dump_step` gives; raises `InvalidEvent` that names the field."""
    step: Step = _load(Step, data)
    return step


def dump_step(step: Step) -> dict[str, Any]:
    """The step as plain data under the columns' names, times in nanoseconds; unknown fields are left out."""
    data = {name: value for name in Step.__slots__ if (value := getattr(step, name)) is not None and value != {}}
    if step.usage is not None:
        data["usage"] = step.usage.as_dict()
    if step.cost_usd is not None:
        data["cost_usd"] = str(step.cost_usd)
    return data


def dump_json(value: object) -> bytes:
    """JSON of plain data; whatever JSON cannot hold becomes its text, lone surrogates become `?`."""
    try:
        return orjson.dumps(value, default=_text, option=_OPTIONS)
    except (orjson.JSONEncodeError, RecursionError):
        return orjson.dumps(_cleaned(value, depth=100), default=_text, option=_OPTIONS)


_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS


def _text(value: object) -> str:
    return str(value) if isinstance(value, Decimal) else f"<{type(value).__name__}>"


def _cleaned(value: object, depth: int) -> object:
    if depth == 0:
        return "<too deep>"
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {str(_cleaned(str(key), depth - 1)): _cleaned(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item, depth - 1) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        return str(value)
    return value


def _load(cls: type, data: object) -> Any:
    try:
        return _adapter(cls).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole value"
        raise InvalidEvent(f"Invalid {cls.__name__}: {place}: {first['msg']}") from None
