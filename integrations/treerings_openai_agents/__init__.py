"""OpenAI Agents SDK, captured through its own tracing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .processor import TreeringsProcessor

__all__ = ["TreeringsProcessor"]


def __getattr__(name: str) -> Any:
    """Import the processor, and the SDK with it, when it is first asked for: plugin loading imports no framework."""
    if name == "TreeringsProcessor":
        from .processor import TreeringsProcessor

        return TreeringsProcessor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
