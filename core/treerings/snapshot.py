"""Copies of payloads as plain bounded data, taken at event time: live objects are never kept."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import itertools
import pathlib
import re
import types
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["Budget", "snapshot"]

MAX_CHARS = 262_144
MAX_ITEMS = 2_000
MAX_DEPTH = 12

MAX_KEY = 1_000

_PLAIN = frozenset({float, bool, type(None)})
_TEXT_LIKE = (
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
    decimal.Decimal,
    pathlib.PurePath,
)
_FUNCTIONS = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType)
_BYTES = (bytes, bytearray, memoryview)
_MAPPINGS = (dict, types.MappingProxyType)
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_BASE64_KEYS = frozenset({"data", "b64_json", "file_data", "image_data", "bytes", "base64"})
_BASE64 = re.compile(r"[A-Za-z0-9+/=_\-\r\n]{256}")


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
    of unknown types. What cannot be copied becomes its type and the error's, the rest of the payload stays. Never raises.
    """
    return _take(value, budget or Budget(), serialize, depth)


def _take(value: Any, budget: Budget, serialize: Callable[[Any], Any] | None, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return _take_text(value, budget)
    if kind in _PLAIN:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**63 else _take_large(value)
    if depth <= 0 or budget.items <= 0:
        return "…"
    try:
        if kind is dict:
            return _take_mapping(value, budget, serialize, depth)
        if kind is list or kind is tuple:
            return _take_sequence(value, len(value), budget, serialize, depth)
        return _take_object(value, budget, serialize, depth)
    except Exception as error:  # properties that raise, changes from another thread: no payload is worth a broken run
        return f"<{_type_name(value)}: {type(error).__name__} while it was copied>"


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


def _take_large(number: int) -> str:
    """Beyond 64 bits, which neither JSON nor databases hold."""
    return str(number) if number.bit_length() <= 4096 else f"<int of {number.bit_length()} bits>"


def _take_mapping(
    value: Mapping[Any, Any], budget: Budget, serialize: Callable[[Any], Any] | None, depth: int
) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    left = len(value)
    items = dict.items(value) if isinstance(value, dict) else value.items()
    for key, item in list(itertools.islice(items, budget.items + 1)):
        if budget.items <= 0:
            taken["…"] = f"{left} more entries"
            break
        budget.items -= 1
        left -= 1
        name = key if type(key) is str and len(key) <= MAX_KEY else _key(key)
        if type(item) is str:
            if name in _BASE64_KEYS and len(item) > 512 and _BASE64.match(item):
                taken[name] = f"<base64 {len(item)} characters>"
            else:
                taken[name] = _take_text(item, budget)
        else:
            taken[name] = _take(item, budget, serialize, depth - 1)
    return taken


def _take_sequence(
    value: Iterable[Any], length: int, budget: Budget, serialize: Callable[[Any], Any] | None, depth: int
) -> list[Any]:
    taken: list[Any] = []
    for index, item in enumerate(list(itertools.islice(value, budget.items + 1))):
        if budget.items <= 0:
            taken.append(f"… {length - index} more items")
            break
        budget.items -= 1
        taken.append(_take(item, budget, serialize, depth - 1))
    return taken


def _take_object(value: Any, budget: Budget, serialize: Callable[[Any], Any] | None, depth: int) -> Any:
    kind = type(value)
    if issubclass(kind, enum.Enum):
        return _take(value.value, budget, serialize, depth - 1)
    if issubclass(kind, str):
        return _take_text(str.__getitem__(value, slice(0, budget.chars + 1_000)), budget)
    if serialize is not None and (plain := serialize(value)) is not None:
        return _take(plain, budget, None if type(plain) is kind else serialize, depth - 1)
    if issubclass(kind, int):
        return _take(int.__index__(value), budget, serialize, depth)
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, _BYTES):
        return f"<{kind.__name__} {memoryview(value).nbytes}>"
    if issubclass(kind, _TEXT_LIKE):
        return _take_text(str(value), budget)
    if issubclass(kind, BaseException):
        return _take_text(f"{kind.__name__}: {error_text(value)}", budget)
    if issubclass(kind, _FUNCTIONS):
        return f"<{value.__module__}.{value.__qualname__}>"
    if issubclass(kind, tuple) and isinstance(names := getattr(kind, "_fields", None), tuple):
        return _take_mapping(dict(zip(names, tuple.__iter__(value), strict=False)), budget, serialize, depth)
    for plain_kind in (list, tuple, set, frozenset, collections.deque):
        if issubclass(kind, plain_kind):  # with their own iteration: a subclass's may do anything
            return _take_sequence(plain_kind.__iter__(value), plain_kind.__len__(value), budget, serialize, depth)
    if kind in _VIEWS:
        return _take_sequence(value, len(value), budget, serialize, depth)
    if issubclass(kind, _MAPPINGS):
        return _take_mapping(value, budget, serialize, depth)
    if hasattr(kind, "get_secret_value"):  # pydantic's SecretStr and SecretBytes
        return "[secret]"
    if callable(value):
        return f"<{_type_name(value)}>"
    if dataclasses.is_dataclass(kind):
        fields = {field.name: _attribute(value, field.name) for field in dataclasses.fields(kind) if field.repr}
        return _take_mapping(fields, budget, serialize, depth)
    names = getattr(kind, "model_fields", None)  # pydantic models: their fields, without running serializers
    if isinstance(names, dict):
        state = {**value.__dict__, **(getattr(value, "__pydantic_extra__", None) or {})}
        for name, field in names.items():
            if not getattr(field, "repr", True) or getattr(field, "exclude", None):
                state.pop(name, None)
        return _take_mapping(state, budget, serialize, depth)
    return f"<{_type_name(value)}>"


def _attribute(value: Any, name: str) -> Any:
    try:
        return getattr(value, name, None)
    except Exception as error:  # a property
        return f"<{type(error).__name__} while it was read>"


def _key(key: Any) -> str:
    kind = type(key)
    if issubclass(kind, enum.Enum):
        return _key(key.value)
    if issubclass(kind, str):
        text = str.__getitem__(key, slice(0, MAX_KEY + 1))
        return text if len(text) <= MAX_KEY else f"{text[:MAX_KEY]}…"
    if kind is int:
        return str(key) if key.bit_length() <= 4096 else "<int>"
    if kind in _PLAIN:
        return str(key)
    if kind is tuple:
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
    length = str.__len__(text)
    start = str.__getitem__(text, slice(0, limit))
    return start if length <= limit else f"{start}… [{length - limit} more characters]"
