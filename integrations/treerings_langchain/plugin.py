"""What this package contributes; imports no framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from treerings import Integration, Kind, Step, hookimpl


@hookimpl
def register_integrations(register: Callable[[Integration], None]) -> None:
    register(
        Integration(
            name="langchain",
            package="langchain_core",
            extra="langchain",
            title="LangChain, LangGraph",
            observes="its callbacks; embeddings are wrapped",
            module="treerings_langchain.integration",
            expected=("workflow", "agent", "llm", "tool"),
            probe_needs=("langchain", "langchain_openai"),
            quiet={"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"},
        )
    )


@hookimpl
def serialize_value(value: Any) -> Any | None:
    """Messages, documents and graph commands, wherever they appear: in own steps and in other frameworks' payloads too."""
    if not type(value).__module__.startswith(("langchain", "langgraph")):
        return None
    from .payloads import plain

    return plain(value)


@hookimpl
def register_processors(register: Callable[[str, Callable[[Step], None]], None]) -> None:
    register("repeated messages", leave_out_repeated)


def leave_out_repeated(step: Step) -> None:
    """Of a model call's messages leave out those that earlier calls of the workflow hold: an agent sends all of them
    again at every turn. Tokens are counted by now.
    """
    if step.kind is not Kind.LLM or type(step.input) is not list:
        return
    shown: list[Any] = []
    left_out = 0
    for item in step.input:
        if type(item) is dict and item.get("repeated") is True:
            left_out += 1
            continue
        if left_out:
            shown.append(f"… {left_out} earlier messages")
            left_out = 0
        shown.append(item)
    step.input = shown
