"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable

from treerings import Integration, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="llamaindex",
            package="llama_index.core",
            distribution="llama-index-core",
            extra="llamaindex",
            title="LlamaIndex",
            observes="its instrumentation: spans and events",
            module="treerings_llamaindex.integration",
            expected=("agent", "llm", "tool"),
            probe_needs=("llama_index.llms.openai",),
        )
    )
