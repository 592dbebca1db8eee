"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="google-adk",
            package="google.adk",
            distribution="google-adk",
            extra="google-adk",
            title="Google ADK",
            observes="a plugin of its own kind in every runner",
            module="treerings_google_adk.integration",
            expected=("agent", "llm", "tool"),
            quiet={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
            probe_needs=("litellm",),
        )
    )
