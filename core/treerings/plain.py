"""Steps and payloads as plain data and JSON, on the way out; `treerings.schema` is the way in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson

from .records import Step

__all__ = ["dump_json", "dump_step"]


def dump_step(step: Step) -> dict[str, Any]:
    """The step as plain data under the columns' names, times in nanoseconds; what is unknown is left out."""
    data = {name: value for name in Step.__slots__ if (value := getattr(step, name)) is not None}
    data["parent_id"] = step.parent_id
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
