"""dspy, captured through its own callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .callback import TreeringsCallback

__all__ = ["TreeringsCallback"]


def __getattr__(name: str) -> Any:
    """Import the callback, and the framework with it, when it is first asked for."""
    if name == "TreeringsCallback":
        from .callback import TreeringsCallback

        return TreeringsCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
