"""LiteLLM, captured through its own `CustomLogger`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .logger import TreeringsLogger

__all__ = ["TreeringsLogger"]


def __getattr__(name: str) -> Any:
    """Import the logger, and LiteLLM with it, when it is first asked for: plugin loading imports no framework."""
    if name == "TreeringsLogger":
        from .logger import TreeringsLogger

        return TreeringsLogger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
