"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="haystack",
            package="haystack",
            distribution="haystack-ai",
            extra="haystack",
            module="treerings_haystack.integration",
            expected=("agent", "llm", "tool"),
        )
    )
