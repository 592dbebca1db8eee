"""Cohere's usage: `billed_units` is what is paid, `tokens` also counts the preamble that Cohere adds for free.

https://docs.cohere.com/reference/chat (v2: `usage`), https://docs.cohere.com/v1/reference/chat (v1: `meta`)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..usage import Usage
from .reading import count, mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_cohere", "read_units"]

_UNITS = {"search_units": "search_units", "classifications": "classifications", "images": "images"}


def is_cohere(raw: Mapping[str, Any]) -> bool:
    """Whether the object has Cohere's two blocks, or one of them."""
    return bool(mapping(raw.get("billed_units"))) or bool(mapping(raw.get("tokens")))


def read_units(raw: Mapping[str, Any], provider: str | None) -> Usage:
    """Billed units where given, counted tokens where not.

    `cached_tokens` is a part of `tokens`, and can exceed what is billed: beside billed units it says nothing.
    """
    billed, counted = mapping(raw.get("billed_units")), mapping(raw.get("tokens"))
    source = billed or counted
    usage = Usage(
        input_tokens=count(source.get("input_tokens")),
        output_tokens=count(source.get("output_tokens")),
        cache_read_tokens=None if billed else count(raw.get("cached_tokens")),
    )
    for name, unit in _UNITS.items():
        units = count(billed.get(name))
        if units:
            usage.requests[unit] = units
    return usage
