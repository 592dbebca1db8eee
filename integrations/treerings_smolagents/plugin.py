"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="smolagents",
            package="smolagents",
            extra="smolagents",
            title="smolagents",
            observes="its agents, models, tools and code executors are wrapped",
            module="treerings_smolagents.integration",
            expected=("agent", "llm", "tool"),
            probe_needs=("openai",),
        )
    )
