"""How a run ended: errors apart from the frameworks' control flow, which travels as exceptions."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import OrderedDict
from typing import Any

from langchain_core.outputs import LLMResult
from treerings import Status, StopWorkflow

from .runs import Run

__all__ = ["Failures", "refused_answer", "said_before", "status_of"]


def status_of(error: BaseException) -> tuple[Status, dict[str, Any] | None]:
    """The status that an exception stands for, and what to note about it. Decided by class, never by name or text."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit | KeyboardInterrupt | StopWorkflow):
        return Status.CANCELLED, None
    errors = sys.modules.get("langgraph.errors")  # whoever raises one of these has imported it
    if errors is not None:
        if isinstance(error, errors.GraphInterrupt):
            return Status.INTERRUPTED, None
        parent_command = getattr(errors, "ParentCommand", None)
        if parent_command is not None and isinstance(error, parent_command):
            return Status.OK, {"handoff": True}
        drained = getattr(errors, "GraphDrained", None)
        if drained is not None and isinstance(error, drained):
            return Status.CANCELLED, {"drained": True}
        bubble_up = getattr(errors, "GraphBubbleUp", None)
        if bubble_up is not None and isinstance(error, bubble_up):
            return Status.OK, {"control": type(error).__name__}
    return Status.ERROR, None


def said_before(response: Any) -> LLMResult | None:
    """What the model had said when its call failed. LangChain adds an empty message with the HTTP answer: not that one."""
    said = [group for group in response.generations if group and _http_answer(group[0]) is None]
    return LLMResult(generations=said, llm_output=response.llm_output) if said else None


def refused_answer(response: Any) -> dict[str, Any] | None:
    """The body of an answer that arrived whole, was billed, and then did not fit its schema; None for other failures."""
    for group in response.generations:
        http = _http_answer(group[0]) if group else None
        if http is not None and http["status_code"] == 200 and isinstance(http.get("body"), dict):
            body: dict[str, Any] = http["body"]
            return body
    return None


def _http_answer(generation: Any) -> dict[str, Any] | None:
    message = getattr(generation, "message", None)
    if message is None or message.content or message.tool_calls:
        return None
    metadata: dict[str, Any] = message.response_metadata
    return metadata if "status_code" in metadata else None


class Failures:
    """Where the latest errors came from: a batch without `return_exceptions` fails all its roots with one's exception.

    Exceptions are known by identity and not kept; a run that started after an error was first told cannot mean that one.
    """

    def __init__(self, *, limit: int = 64) -> None:
        self._limit = limit
        self._first: OrderedDict[int, tuple[Run, float]] = OrderedDict()

    def elsewhere(self, run: Run, error: BaseException) -> Run | None:
        """The root of the other workflow in which this error was told first; None if that is the run's own."""
        key = id(error)
        first = self._first.get(key)
        if first is not None and run.started_s < first[1]:
            return None if first[0] is run.root else first[0]
        self._first[key] = run.root, time.monotonic()
        self._first.move_to_end(key)
        if len(self._first) > self._limit:
            try:
                self._first.popitem(last=False)
            except KeyError:  # another thread was quicker
                pass
        return None
