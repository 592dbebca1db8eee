"""LangChain for the whole process: the handler in every configuration, embeddings included."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from langchain_core.tracers.context import register_configure_hook

from . import embeddings
from .handler import CallbackHandler

__all__ = ["instrument", "probe", "uninstrument"]

_handler = CallbackHandler()
_handler._active = False
_variable: ContextVar[CallbackHandler | None] = ContextVar("treerings_langchain_handler", default=_handler)
_hooked = False


def instrument() -> None:
    """Give every run of this process to one handler, in all threads and contexts; a second call does nothing.

    LangChain has no way to take its hook back: after `uninstrument` the handler stays and asks to be passed over.
    """
    global _hooked
    _handler._active = True
    if not _hooked:
        _hooked = True
        register_configure_hook(_variable, inheritable=True)
    embeddings.wrap()


def uninstrument() -> None:
    """Record nothing more but what explicit handlers see."""
    _handler._active = False
    embeddings.unwrap()


def probe(base_url: str) -> None:
    """Run an agent that calls one tool, on the scripted server at `base_url`."""
    from langchain.agents import create_agent
    from langchain_core.runnables import RunnableLambda
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    @tool
    def ring_count(tree: str) -> str:
        """Count the rings of a tree."""
        return f"{tree}: 112"

    model = ChatOpenAI(model="gpt-4o-mini", base_url=base_url, api_key=SecretStr("unused"), max_retries=0)
    agent = create_agent(model, [ring_count], name="probe")
    question: Any = {"messages": [("user", "How old is the oak?")]}
    answer: Callable[[Any], Any] = agent.invoke
    RunnableLambda(answer).invoke(question)
