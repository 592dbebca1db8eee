"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="agno",
            package="agno",
            extra="agno",
            title="agno",
            observes="its agents, teams and models are wrapped",
            module="treerings_agno.integration",
            expected=("agent", "llm", "tool"),
            quiet={"AGNO_TELEMETRY": "false"},
            probe_needs=("openai",),
        )
    )
