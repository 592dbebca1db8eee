"""Google's Gen AI SDK, for the Gemini API and Vertex AI: each request that is a model call becomes a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clients import unwrap, wrap

__all__ = ["unwrap", "wrap"]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and the SDK with it, at first use: plugin loading imports no framework."""
    if name in __all__:
        from . import clients

        return getattr(clients, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
