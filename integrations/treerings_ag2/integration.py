"""ag2 for the whole process: the recording middleware in every turn of every agent."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from ag2 import Agent
from treerings import TreeringsError, runtime

from .recording import Recorded, turn

__all__ = ["instrument", "probe", "uninstrument"]

_TURN = "_drive_scope" if hasattr(Agent, "_drive_scope") else "_turn_scope"
"""Where every turn of an agent goes through, whichever method began it; the middleware of a turn is put together there.

Before agents had plugins, there was one scope for what are two now.
"""


class UnknownVersion(TreeringsError, RuntimeError):
    """ag2 is not as this integration knows it."""


def instrument() -> None:
    """Record every agent of this process, those that exist already included; a second call does nothing."""
    original = getattr(Agent, _TURN, None)
    if original is None:
        raise UnknownVersion(
            f"This version of ag2 has no Agent.{_TURN}. Give the agents treerings_ag2.middleware() instead."
        )
    if not hasattr(original, "treerings_original"):
        wrapped = functools.wraps(original)(_recording(original))
        wrapped.treerings_original = original  # type: ignore[attr-defined]  # a mark of ours
        setattr(Agent, _TURN, wrapped)


def uninstrument() -> None:
    """Give the class its own method back."""
    original = getattr(getattr(Agent, _TURN, None), "treerings_original", None)
    if original is not None:
        setattr(Agent, _TURN, original)


def _recording(original: Callable[..., AbstractAsyncContextManager[Any]]) -> Callable[..., Any]:
    @asynccontextmanager
    async def scope(agent: Any, event: Any, **options: Any) -> AsyncGenerator[Callable[[], Awaitable[Any]]]:
        recorded = Recorded(agent.name)
        given = options.pop("additional_middleware", ())
        async with original(agent, event, **options, additional_middleware=(*given, recorded)) as drive:

            async def driven() -> Any:
                return await turn(recorded, drive, event, options["context"])

            yield driven

    def wrapper(self: Any, event: Any, **options: Any) -> AbstractAsyncContextManager[Any]:
        if not runtime.current_recorder().enabled:
            return original(self, event, **options)
        return scope(self, event, **options)

    return wrapper


def probe(base_url: str) -> None:
    """Run an agent that calls one tool, on the scripted server at `base_url`."""
    from .served import ServedConfig

    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    agent = Agent("probe", config=ServedConfig(base_url), tools=[ring_count])
    asyncio.run(agent.ask("How old is the oak?"))
