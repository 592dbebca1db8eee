"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="openai",
            package="openai",
            extra="openai",
            title="OpenAI SDK",
            observes="its clients' methods are wrapped",
            module="treerings_openai.integration",
            expected=("llm",),
        )
    )
