"""LlamaIndex for the whole process: two handlers on the root dispatcher."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llama_index_instrumentation import get_dispatcher

from .handlers import SCOPE, EventHandler, SpanHandler

__all__ = ["instrument", "probe", "recording", "uninstrument"]

_span_handler = SpanHandler()
_event_handler = EventHandler()


def instrument() -> None:
    """Record everything that LlamaIndex does in this process; a second call does nothing."""
    SCOPE.everywhere = True
    _attach()


def uninstrument() -> None:
    """Take the handlers out again. What is open is closed by its workflow's end or by age."""
    SCOPE.everywhere = False
    root: Any = get_dispatcher()
    root.span_handlers[:] = [handler for handler in root.span_handlers if handler is not _span_handler]
    root.event_handlers[:] = [handler for handler in root.event_handlers if handler is not _event_handler]


@contextmanager
def recording() -> Iterator[None]:
    """Record what LlamaIndex begins inside this block: in its context, and in the tasks that are started there.

    The dispatcher is one for the process, so the handlers stay on it afterwards, for streams that are read later; they
    pass over all else. `uninstrument` takes them out.
    """
    _attach()
    token = SCOPE.here.set(True)
    try:
        yield
    finally:
        try:
            SCOPE.here.reset(token)
        except ValueError:  # closed from another context, whose own value goes away with it
            pass


def probe(base_url: str) -> None:
    """Run an agent that calls one tool, on the scripted server at `base_url`."""
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.llms.openai import OpenAI

    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    model = OpenAI(model="gpt-4o-mini", api_base=base_url, api_key="unused", max_retries=0)
    agent = FunctionAgent(name="probe", tools=[ring_count], llm=model, streaming=False)  # a stream has no usage

    async def ask() -> None:
        await agent.run("How old is the oak?")

    asyncio.run(ask())


def _attach() -> None:
    root: Any = get_dispatcher()
    if not any(handler is _span_handler for handler in root.span_handlers):
        root.add_span_handler(_span_handler)
    if not any(handler is _event_handler for handler in root.event_handlers):
        root.add_event_handler(_event_handler)
