"""haystack for the whole process: our tracer in the place of the one that it has, which goes on working."""

from __future__ import annotations

from haystack.tracing.tracer import disable_tracing, enable_tracing, is_tracing_enabled, tracer

from .tracer import StepTracer

__all__ = ["instrument", "probe", "uninstrument"]


def instrument() -> None:
    """Record every pipeline and agent of this process; a second call does nothing, unless the tracer was replaced.

    haystack has one tracer: one that is enabled by now is told everything as before.
    """
    present = tracer.actual_tracer
    if not isinstance(present, StepTracer):
        enable_tracing(StepTracer(present if is_tracing_enabled() else None))
    else:
        present.active = True


def uninstrument() -> None:
    """Record nothing more; the tracer that was enabled before is so again."""
    present = tracer.actual_tracer
    if not isinstance(present, StepTracer):
        return
    present.active = False  # for what is under way, and for who holds it
    if present.inner is None:
        disable_tracing()
    else:
        enable_tracing(present.inner)


def probe(base_url: str) -> None:
    """Run an agent that calls one tool, on the scripted server at `base_url`."""
    from haystack.components.agents import Agent
    from haystack.components.generators.chat import OpenAIChatGenerator
    from haystack.dataclasses import ChatMessage
    from haystack.tools.from_function import create_tool_from_function
    from haystack.utils import Secret

    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    generator = OpenAIChatGenerator(
        model="gpt-4o-mini", api_base_url=base_url, api_key=Secret.from_token("unused"), max_retries=0
    )
    agent = Agent(chat_generator=generator, tools=[create_tool_from_function(ring_count)])
    agent.run(messages=[ChatMessage.from_user("How old is the oak?")])
