"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="crewai",
            package="crewai",
            extra="crewai",
            title="CrewAI",
            observes="its event bus",
            module="treerings_crewai.integration",
            expected=("workflow", "task", "agent", "llm", "tool"),
        )
    )
