"""Conversations that the model server holds for clients that send only what is new: Anthropic's message threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from treerings.testing.model_anthropic import MESSAGES

if TYPE_CHECKING:
    from treerings.testing.model_request import ModelRequest
    from treerings.testing.model_script import Answer

__all__ = ["Threads"]

KEPT = 1_000
"""Messages that a thread can be continued from; the oldest are forgotten."""


class Threads:
    """What was said up to each message of a thread; safe to use from several Python threads."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def continued(self, request: ModelRequest) -> ModelRequest:
        """The request with what its thread holds; the request as it is when it continues none that is known."""
        thread = request.data.get("thread")
        previous = thread.get("previous_message_id") if isinstance(thread, dict) else None
        with self._lock:
            held = self._held.get(previous) if isinstance(previous, str) else None
        return request if held is None else replace(request, held=held)

    def keep(self, request: ModelRequest, answer: Answer, number: int) -> None:
        """Hold the conversation of a thread up to this answer."""
        if request.endpoint != "messages" or not isinstance(request.data.get("thread"), dict):
            return
        message = MESSAGES.whole(request, answer, number)
        said = {"role": "assistant", "content": message["content"]}
        with self._lock:
            self._held[message["id"]] = {**request.data, "messages": [*request.data.get("messages", ()), said]}
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
