"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="pydantic-ai",
            package="pydantic_ai",
            distribution="pydantic-ai-slim",
            extra="pydantic-ai",
            title="Pydantic AI",
            observes="a capability of its own kind in every run",
            module="treerings_pydantic_ai.integration",
            expected=("agent", "llm", "tool"),
            probe_needs=("openai",),
        )
    )
