"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="openai-agents",
            package="agents",
            distribution="openai-agents",
            extra="openai-agents",
            title="OpenAI Agents SDK",
            observes="its trace processors",
            module="treerings_openai_agents.integration",
            expected=("agent", "llm", "tool"),
        )
    )
