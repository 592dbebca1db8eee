"""LangChain and LangGraph, captured through LangChain's own callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .handler import CallbackHandler

__all__ = ["CallbackHandler"]


def __getattr__(name: str) -> Any:
    """Import the handler, and LangChain with it, when it is first asked for: plugin loading imports no framework."""
    if name == "CallbackHandler":
        from .handler import CallbackHandler

        return CallbackHandler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
