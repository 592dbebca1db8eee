"""The border: events and steps as JSON data, validated by pydantic on the way in."""

from __future__ import annotations

import difflib
from dataclasses import asdict
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from .errors import InvalidEvent
from .events import Event, StepEnded, StepStarted, StepUpdated
from .records import Step
from .usage import Usage

__all__ = ["dump_event", "load_event", "load_step"]

_EVENTS: dict[str, type[StepStarted] | type[StepUpdated] | type[StepEnded]] = {
    "step_started": StepStarted,
    "step_updated": StepUpdated,
    "step_ended": StepEnded,
}
_NAMES = {cls: name for name, cls in _EVENTS.items()}


def _check_names(cls: Any, data: dict[object, object], place: str) -> None:
    known = cls.__dataclass_fields__
    for name in data:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise InvalidEvent(f"Invalid {cls.__name__}: no field is called {place}{name}; {hint}")


@cache
def _adapter(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def load_event(data: object) -> Event:
    """An event from a mapping with `type` (`step_started`, `step_updated`, `step_ended`); raises `InvalidEvent`."""
    if not isinstance(data, dict) or not isinstance(kind := data.get("type"), str) or kind not in _EVENTS:
        raise InvalidEvent(f"An event is a mapping whose 'type' is one of {', '.join(_EVENTS)}; got {data!r:.200}")
    fields = {key: value for key, value in data.items() if key != "type"}
    event: Event = _load(_EVENTS[kind], fields)
    return event


def dump_event(event: Event) -> dict[str, Any]:
    """The event as plain data, unknown fields left out; `load_event` reads it back."""
    known = {key: value for key, value in asdict(event).items() if value is not None}
    return {"type": _NAMES[type(event)], **known}


def load_step(data: object) -> Step:
    """A step from what `treerings.plain.dump_step` gives; raises `InvalidEvent` that names the field."""
    step: Step = _load(Step, data)
    return step


def _load(cls: Any, data: object) -> Any:
    if isinstance(data, dict):
        _check_names(cls, data, "")
        if isinstance(usage := data.get("usage"), dict):
            _check_names(Usage, usage, "usage.")
        if "parent_id" in cls.__dataclass_fields__:  # a root has none, and what is None is left out on the way out
            data = {"parent_id": None, **data}
    try:
        return _adapter(cls).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole value"
        raise InvalidEvent(f"Invalid {cls.__name__}: {place}: {first['msg']}") from None
