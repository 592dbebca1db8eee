"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="mcp",
            package="mcp",
            extra="mcp",
            title="Model Context Protocol SDK",
            observes="its client sessions' methods are wrapped",
            module="treerings_mcp.integration",
            expected=("tool",),
        )
    )
