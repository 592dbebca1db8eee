"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="agent-framework",
            package="agent_framework",
            distribution="agent-framework-core",
            extra="agent-framework",
            title="Microsoft Agent Framework",
            observes="middleware of its own kinds in every agent and chat client; its workflows are wrapped",
            module="treerings_agent_framework.integration",
            expected=("agent", "llm", "tool"),
            probe_needs=("agent_framework_openai",),
        )
    )
