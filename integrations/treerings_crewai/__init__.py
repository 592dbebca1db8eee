"""CrewAI, captured through its event bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .custom_llms import record_llm

__all__ = ["record_llm"]


def __getattr__(name: str) -> Any:
    """Import what is asked for: plugin loading imports nothing more."""
    if name == "record_llm":
        from .custom_llms import record_llm

        return record_llm
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
