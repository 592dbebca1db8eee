"""AutoGen: its agents, teams, model calls and tools as trees of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clients import traced

__all__ = ["traced"]


def __getattr__(name: str) -> Any:
    """Import AutoGen with what is asked for: plugin loading imports no framework."""
    if name == "traced":
        from .clients import traced

        return traced
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
