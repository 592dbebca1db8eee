"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="google",
            package="google.genai",
            distribution="google-genai",
            extra="google",
            title="Google Gen AI SDK",
            observes="its clients' methods are wrapped",
            module="treerings_google.integration",
            expected=("agent", "llm", "tool"),
        )
    )
