"""Careful reading of other people's payloads: entries, counts, mappings, tiers, none of which may raise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

__all__ = ["SERVICE_TIERS", "count", "first", "mapping", "member", "text", "tier", "total"]

_STANDARD = frozenset({"", "auto", "default", "none", "null", "on_demand", "standard", "standard_only", "unspecified"})
SERVICE_TIERS = {"on_demand_flex": "flex", "on_demand_priority": "priority", "provisioned_throughput": "provisioned"}
"""Providers' names for a tier, where they differ from ours."""

_DUMPS = ("model_dump", "to_dict", "dict")


def count(value: object) -> int | None:
    """A count of units: a whole number of at least 0, else None. Whole floats count: Cohere's SDK returns them."""
    if type(value) is int:
        return value if value >= 0 else None
    if isinstance(value, float) and math.isfinite(value) and value >= 0 and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if value >= 0 else None
    return None


def total(*counts: int | None) -> int | None:
    """The sum of what is known; None when nothing is."""
    known = [value for value in counts if value is not None]
    return sum(known) if known else None


def text(value: object) -> str | None:
    """A short text, else None."""
    return value if isinstance(value, str) and len(value) <= 200 else None


def tier(value: object) -> str | None:
    """A service tier in our words: lower case, None for the standard one."""
    if isinstance(value, Mapping):  # Bedrock: {"type": "priority"}
        value = value.get("type")
    value = getattr(value, "value", value)  # an enum of an SDK
    if not isinstance(value, str) or len(value) > 40:
        return None
    name = value.lower().removeprefix("service_tier_")
    return None if name in _STANDARD else SERVICE_TIERS.get(name, name)


def member(value: object, name: str) -> Any:
    """The entry or attribute of that name; None when there is none or it cannot be read."""
    if isinstance(value, dict):
        return value.get(name)
    if value is None or isinstance(value, (str, bytes, int, float, list, tuple)):
        return None
    try:
        kind: Any = type(value)
        if hasattr(kind, "__pydantic_core_schema__"):  # such a model is slow to say that it lacks an attribute
            fields = value.__dict__
            if name in fields:
                return fields[name]
            extra = getattr(value, "__pydantic_extra__", None)
            if extra and name in extra:
                return extra[name]
            return getattr(value, name, None) if _declares(kind, name) else None
        if isinstance(value, Mapping):
            return value.get(name)
        return getattr(value, name, None)
    except Exception:  # a property of someone else's object
        return None


@lru_cache(maxsize=2_000)
def _declares(kind: type, name: str) -> bool:
    """Whether a class has such a property."""
    return any(name in vars(base) for base in kind.__mro__)


def mapping(value: object) -> Mapping[str, Any]:
    """A mapping, or an SDK object as one; empty for everything else."""
    if isinstance(value, dict):
        return value
    if value is None or isinstance(value, (str, bytes, int, float, list, tuple)):
        return {}
    try:
        if isinstance(value, Mapping):
            return value
        if hasattr(type(value), "__pydantic_core_schema__"):  # its fields are enough, and dumping them is slow
            fields, extra = value.__dict__, getattr(value, "__pydantic_extra__", None)
            return {**fields, **extra} if extra else fields
        for name in _DUMPS:
            method = getattr(value, name, None)
            if callable(method):
                dumped = method()
                if isinstance(dumped, dict):
                    return dumped
        attributes = getattr(value, "__dict__", None)
        if isinstance(attributes, dict):
            return attributes
        return {name: getattr(value, name, None) for name in getattr(value, "__slots__", ()) if isinstance(name, str)}
    except Exception:  # an SDK object that does not dump
        return {}


def first(source: Mapping[str, Any], *names: str) -> int | None:
    """The first known count among these names."""
    for name in names:
        known = count(source.get(name))
        if known is not None:
            return known
    return None
