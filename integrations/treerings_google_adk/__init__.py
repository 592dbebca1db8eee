"""Google's Agent Development Kit, captured by a plugin of its own kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .callbacks import TreeringsPlugin

__all__ = ["TreeringsPlugin"]


def __getattr__(name: str) -> Any:
    """Import the plugin, and the framework with it, when it is first asked for."""
    if name == "TreeringsPlugin":
        from .callbacks import TreeringsPlugin

        return TreeringsPlugin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
