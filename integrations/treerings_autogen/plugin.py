"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="autogen",
            package="autogen_agentchat",
            extra="autogen",
            title="AutoGen",
            observes="its agents, teams and model clients are wrapped",
            module="treerings_autogen.integration",
            expected=("workflow", "agent", "llm", "tool"),
            probe_needs=("autogen_ext", "openai"),
        )
    )
