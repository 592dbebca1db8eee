"""Microsoft Agent Framework for the whole process: the recording middleware in every agent and chat client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from treerings import TreeringsError
from treerings.wrapping import Around, Patches

from . import workflows
from .recording import AGENT, CHAT, FUNCTION

__all__ = ["instrument", "probe", "uninstrument"]

_patches = Patches()


class UnknownVersion(TreeringsError, RuntimeError):
    """The framework is not as this integration knows it."""


def instrument() -> None:
    """Record every agent of this process, those that exist already included; a second call does nothing."""
    from agent_framework import AgentMiddlewareLayer, ChatMiddlewareLayer, FunctionInvocationLayer

    places: tuple[tuple[type, str, Around], ...] = (
        (AgentMiddlewareLayer, "_get_agent_middleware_pipeline", _with(AGENT, lambda given: [AGENT, *given])),
        (ChatMiddlewareLayer, "_get_chat_middleware_pipeline", _with(CHAT, lambda given: [*given, CHAT])),
        (
            FunctionInvocationLayer,
            "_get_function_middleware_pipeline",
            _with(FUNCTION, lambda given: [*given, FUNCTION]),
        ),
    )
    for owner, name, around in places:
        if not _patches.wrap(owner, name, around):
            _patches.undo()
            raise UnknownVersion(
                f"This version of agent-framework-core has no {owner.__name__}.{name}. "
                "Give the agents treerings_agent_framework.middleware() instead."
            )
    workflows.wrap(_patches)


def uninstrument() -> None:
    """Give the classes their own methods back; runs that are under way are recorded to their end."""
    _patches.undo()


def _with(ours: object, joined: Callable[[Sequence[Any]], list[Any]]) -> Around:
    """Have a pipeline put together with our middleware: the agent's around all others, the rest within them."""

    def around(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if kwargs or len(args) != 2 or ours in args[1]:
            return function(*args, **kwargs)
        return function(args[0], joined(args[1]))

    return around


def probe(base_url: str) -> None:
    """Run an agent that calls one tool, on the scripted server at `base_url`."""
    from agent_framework import Agent
    from agent_framework.openai import OpenAIChatCompletionClient

    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    client = OpenAIChatCompletionClient(model="gpt-4o-mini", api_key="unused", base_url=base_url)
    asyncio.run(_ask(Agent(client=client, name="probe", tools=[ring_count])))


async def _ask(agent: Any) -> None:
    await agent.run("How old is the oak?")
