"""Microsoft Agent Framework: its agents, model calls, tools and workflows as trees of steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .recording import middleware

__all__ = ["middleware"]


def __getattr__(name: str) -> Any:
    """Import the framework with what is asked for: plugin loading imports no framework."""
    if name == "middleware":
        from .recording import middleware

        return middleware
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
