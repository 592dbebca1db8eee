"""Pydantic AI, captured through its own capabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .capability import Treerings

__all__ = ["Treerings"]


def __getattr__(name: str) -> Any:
    """Import the capability, and Pydantic AI with it, when it is first asked for: plugin loading imports no framework."""
    if name == "Treerings":
        from .capability import Treerings

        return Treerings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
