"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="ag2",
            package="ag2",
            extra="ag2",
            title="AG2",
            observes="a middleware of its own kind in every turn",
            module="treerings_ag2.integration",
            expected=("agent", "llm", "tool"),
        )
    )
