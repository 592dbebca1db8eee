"""Copies of payloads as plain bounded data, taken at event time: live objects are never kept."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

__all__ = ["Budget", "snapshot"]

MAX_CHARS = 262_144
MAX_ITEMS = 2_000
MAX_DEPTH = 12

_PLAIN = frozenset({int, float, bool, type(None)})
_TEXT_LIKE = (
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
    decimal.Decimal,
    pathlib.PurePath,
)
_NUMBERS = (int, float)
_BYTES = (bytes, bytearray, memoryview)
_SEQUENCES = (list, tuple, AbstractSet)
_BASE64_KEYS = frozenset({"data", "b64_json", "file_data", "image_data", "bytes", "base64"})


class Budget:
    """What one payload may still take: characters and items."""

    __slots__ = ("chars", "items")

    def __init__(self, chars: int = MAX_CHARS, items: int = MAX_ITEMS) -> None:
        self.chars = chars
        self.items = items


def snapshot(
    value: Any, *, budget: Budget | None = None, serialize: Callable[[Any], Any] | None = None, depth: int = MAX_DEPTH
) -> Any:
    """`value` as None, numbers, strings, lists and dicts with string keys, within the budget.

    Strings are shared, not copied, up to the characters left (262,144 a payload), then cut with a mark that says how much
    is missing; at most 2,000 items and 12 levels are taken. Bytes and base64 become their size, iterators and other
    objects their type: nothing is iterated that could be consumed, no `repr` is called. `serialize` is asked for objects
    of unknown types. Never raises.
    """
    try:
        return _take(value, budget or Budget(), serialize, depth)
    except Exception as error:  # hostile mappings, properties that raise: the payload is not worth a broken run
        return f"<{_type_name(value)}: {type(error).__name__} while it was copied>"


def _take(value: Any, budget: Budget, serialize: Callable[[Any], Any] | None, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _take_text(value, budget)
    if kind in _PLAIN:
        return value
    if depth <= 0 or budget.items <= 0:
        return "…"
    if kind is dict:
        return _take_mapping(value, budget, serialize, depth)
    if kind is list or kind is tuple:
        return _take_sequence(value, budget, serialize, depth)
    return _take_object(value, budget, serialize, depth)


def _take_text(text: str, budget: Budget) -> str:
    length = len(text)
    if length > 512 and text.startswith("data:") and ";base64," in text[:100]:
        return f"<{text[: text.index(',')]} {length} characters>"
    left = budget.chars
    if length <= left:
        budget.chars = left - length
        return text
    budget.chars = 0
    return f"{text[:left]}… [{length - left} more characters]"


def _take_mapping(
    value: Mapping[Any, Any], budget: Budget, serialize: Callable[[Any], Any] | None, depth: int
) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    left = len(value)
    for key, item in list(value.items()):
        if budget.items <= 0:
            taken["…"] = f"{left} more entries"
            break
        budget.items -= 1
        left -= 1
        name = key if type(key) is str else _key(key)
        if type(item) is str:
            if name in _BASE64_KEYS and len(item) > 512 and " " not in item[:256]:
                taken[name] = f"<base64 {len(item)} characters>"
            else:
                taken[name] = _take_text(item, budget)
        else:
            taken[name] = _take(item, budget, serialize, depth - 1)
    return taken


def _take_sequence(value: Any, budget: Budget, serialize: Callable[[Any], Any] | None, depth: int) -> list[Any]:
    taken: list[Any] = []
    items = list(value)
    for index, item in enumerate(items):
        if budget.items <= 0:
            taken.append(f"… {len(items) - index} more items")
            break
        budget.items -= 1
        taken.append(_take(item, budget, serialize, depth - 1))
    return taken


def _take_object(value: Any, budget: Budget, serialize: Callable[[Any], Any] | None, depth: int) -> Any:
    if serialize is not None and (plain := serialize(value)) is not None:
        return _take(plain, budget, None if type(plain) is type(value) else serialize, depth - 1)
    if isinstance(value, enum.Enum):
        return _take(value.value, budget, serialize, depth - 1)
    if isinstance(value, str):
        return _take_text(str.__str__(value), budget)
    if isinstance(value, _NUMBERS):
        return float(value) if isinstance(value, float) else int(value)
    if isinstance(value, _BYTES):
        return f"<{type(value).__name__} {len(value)}>"
    if isinstance(value, _TEXT_LIKE):
        return str(value)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {error_text(value)}"
    if isinstance(value, type) or callable(value):
        name = getattr(value, "__qualname__", None) or type(value).__name__
        return f"<{getattr(value, '__module__', '?')}.{name}>"
    if isinstance(value, dict):
        return _take_mapping(value, budget, serialize, depth)
    if isinstance(value, tuple) and (names := getattr(value, "_fields", None)):
        return _take_mapping(dict(zip(names, value, strict=False)), budget, serialize, depth)
    if isinstance(value, _SEQUENCES):
        return _take_sequence(value, budget, serialize, depth)
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value) if field.repr}
        return _take_mapping(fields, budget, serialize, depth)
    if hasattr(type(value), "get_secret_value"):  # pydantic's SecretStr and SecretBytes
        return "[secret]"
    names = getattr(type(value), "model_fields", None)  # pydantic models: their fields, without running serializers
    if isinstance(names, dict):
        state = value.__dict__
        return _take_mapping(
            {name: state[name] for name, field in names.items() if name in state and getattr(field, "repr", True)},
            budget,
            serialize,
            depth,
        )
    return f"<{_type_name(value)}>"


def _key(key: Any) -> str:
    if isinstance(key, str | int | float | bool | type(None)):
        return str(key)
    if isinstance(key, enum.Enum):
        return str(key.value)
    if isinstance(key, tuple):
        return ",".join(_key(part) for part in key[:10])
    return f"<{_type_name(key)}>"


def _type_name(value: Any) -> str:
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def error_text(error: BaseException, limit: int = 4_000) -> str:
    """The error's message, at most `limit` characters, also where its `__str__` raises."""
    try:
        text = str(error)
    except Exception:  # a user's __str__ may do anything
        return f"<{_type_name(error)} whose text cannot be read>"
    return text if len(text) <= limit else f"{text[:limit]}… [{len(text) - limit} more characters]"
