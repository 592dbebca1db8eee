"""Symbols and colours: every status and kind can be told without colour, too."""

from __future__ import annotations

from ..events import Kind, Status

__all__ = ["ASCII", "KINDS", "SYMBOLS", "status_style"]

SYMBOLS = {
    Status.RUNNING: "●",
    Status.OK: "✓",
    Status.ERROR: "✗",
    Status.CANCELLED: "⊘",
    Status.INTERRUPTED: "‖",
    Status.INCOMPLETE: "◌",
}

_STATUS_STYLES = {
    Status.RUNNING: "bold cyan",
    Status.OK: "green",
    Status.ERROR: "bold red",
    Status.CANCELLED: "yellow",
    Status.INTERRUPTED: "bold yellow",
    Status.INCOMPLETE: "yellow",
}

KINDS = {
    Kind.WORKFLOW: "bold",
    Kind.AGENT: "bold magenta",
    Kind.TASK: "blue",
    Kind.NODE: "bright_black",
    Kind.CHAIN: "bright_black",
    Kind.LLM: "cyan",
    Kind.TOOL: "yellow",
    Kind.RETRIEVER: "blue",
    Kind.RERANKER: "blue",
    Kind.EMBEDDING: "blue",
    Kind.GUARDRAIL: "bright_red",
    Kind.HANDOFF: "bright_magenta",
    Kind.MEMORY: "blue",
    Kind.HUMAN: "bright_green",
}

ASCII = str.maketrans("├└│─●✓✗⊘‖◌…→·–━×▏⋮", "|`|-*+x/=o.>-~=x|:")
"""One character for one, for terminals and files that cannot hold the others."""


def status_style(status: Status) -> str:
    """The colour of a status."""
    return _STATUS_STYLES[status]
