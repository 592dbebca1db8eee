"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="litellm",
            package="litellm",
            extra="litellm",
            title="LiteLLM",
            observes="its custom logger",
            module="treerings_litellm.integration",
            expected=("llm",),
        )
    )
