"""LlamaIndex, captured through its own dispatcher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .integration import recording

__all__ = ["recording"]


def __getattr__(name: str) -> Any:
    """Import LlamaIndex when what needs it is first asked for: plugin loading imports no framework."""
    if name == "recording":
        from .integration import recording

        return recording
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
