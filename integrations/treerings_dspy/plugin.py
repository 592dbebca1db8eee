"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="dspy",
            package="dspy",
            extra="dspy",
            title="DSPy",
            observes="its callbacks",
            module="treerings_dspy.integration",
            expected=("agent", "llm", "tool"),
            quiet={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        )
    )
