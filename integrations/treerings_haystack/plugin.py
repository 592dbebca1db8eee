"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="haystack",
            package="haystack",
            distribution="haystack-ai",
            extra="haystack",
            title="Haystack",
            observes="a tracer of its own kind",
            module="treerings_haystack.integration",
            expected=("agent", "llm", "tool"),
            quiet={"HAYSTACK_TELEMETRY_ENABLED": "false"},
        )
    )


@hookimpl
def serialize_value(value: Any) -> Any | None:
    """Messages, documents and tool calls, wherever they appear."""
    if not type(value).__module__.startswith("haystack.dataclasses"):
        return None
    from .payloads import plain

    return plain(value)
