"""OpenAI Agents SDK for the whole process: a processor beside those that are there."""

from __future__ import annotations

import logging
from typing import Any

from agents.tracing import add_trace_processor, get_trace_provider, set_trace_processors, set_trace_provider
from agents.tracing.provider import DefaultTraceProvider
from agents.tracing.traces import NoOpTrace

from .processor import TreeringsProcessor

__all__ = ["instrument", "probe", "uninstrument"]

logger = logging.getLogger("treerings")

_processor = TreeringsProcessor()
_added_to: Any = None


def instrument() -> None:
    """Record every run of this process; a second call does nothing.

    The SDK's own processor and its exporter stay as they are: on or off, by the SDK's own settings.
    """
    global _added_to
    _processor.active = True
    provider = get_trace_provider()
    if _processor not in _processors(provider, otherwise=[_processor] if provider is _added_to else []):
        add_trace_processor(_processor)
        _added_to = provider
    if isinstance(provider.create_trace("treerings looks whether tracing is on"), NoOpTrace):
        logger.warning(
            "openai-agents: tracing is disabled, so there is nothing to record. Unset OPENAI_AGENTS_DISABLE_TRACING, or call"
            " agents.set_tracing_disabled(False); agents.set_trace_processors([]) before treerings.instrument() keeps the"
            " SDK from sending its traces to OpenAI."
        )


def uninstrument() -> None:
    """Take the processor out again; where the SDK keeps its processors elsewhere, it stays and does nothing."""
    global _added_to
    _processor.active = False
    provider = get_trace_provider()
    processors = _processors(provider, otherwise=[])
    if _processor in processors:
        set_trace_processors([processor for processor in processors if processor is not _processor])
    _added_to = None


def _processors(provider: Any, *, otherwise: list[Any]) -> list[Any]:
    """The processors that a provider has; the SDK can add and replace them, but not list them."""
    found = getattr(getattr(provider, "_multi_processor", None), "_processors", None)
    return list(found) if isinstance(found, list | tuple) else otherwise


def probe(base_url: str) -> None:
    """Run an agent that calls one tool, on the scripted server at `base_url`, with a tracing of its own that sends nothing."""
    from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
    from openai import AsyncOpenAI

    @function_tool
    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    model = OpenAIChatCompletionsModel(
        "gpt-4o-mini", openai_client=AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0)
    )
    before, own = get_trace_provider(), DefaultTraceProvider()
    own.register_processor(_processor)
    own.set_disabled(False)
    set_trace_provider(own)
    try:
        Runner.run_sync(Agent(name="probe", model=model, tools=[ring_count]), "How old is the oak?")
    finally:
        set_trace_provider(before)
