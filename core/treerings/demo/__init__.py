"""The demo: a LangGraph team on scripted models, with all that a real run has. Imports LangGraph when it runs."""

from __future__ import annotations

from typing import Any

from ..errors import MissingPackage
from ..registry import found
from .script import QUESTION, replies

__all__ = ["QUESTION", "check_installed", "replies", "run_team"]

NEEDED = {"langchain": "langchain", "langgraph": "langgraph", "langchain_openai": "langchain-openai"}
"""The packages that the demo imports, each with what installs it."""


def check_installed() -> None:
    """Raise `MissingPackage` with the line to type when the demo cannot run here."""
    missing = [name for package, name in NEEDED.items() if not found(package)]
    if missing:
        names = ", ".join(missing)
        raise MissingPackage(f"The demo runs a LangGraph team and needs {names}. Type: pip install {' '.join(missing)}")


def run_team(base_url: str, callbacks: list[Any] | None = None) -> str:
    """Ask the team the question, with its models at `base_url`; its answer.

    A supervisor hands over to two agents. A tool of the first fails in a way that the model can handle; a model call
    inside a tool of the second fails and is retried; the answer is streamed. Nothing is sent anywhere else.
    """
    check_installed()
    from .team import ask

    return ask(QUESTION, base_url, callbacks or [])
