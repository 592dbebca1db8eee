"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="langchain",
            package="langchain_core",
            extra="langchain",
            module="treerings_langchain.integration",
            expected=("workflow", "agent", "llm", "tool"),
            probe_needs=("langchain", "langchain_openai"),
        )
    )


@hookimpl
def serialize_value(value: Any) -> Any | None:
    """Messages, documents and graph commands, wherever they appear: in own steps and in other frameworks' payloads too."""
    if not type(value).__module__.startswith(("langchain", "langgraph")):
        return None
    from .payloads import plain

    return plain(value)
