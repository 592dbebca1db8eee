"""What a model server shall answer: answers, failures and drops, in the order of their use."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from treerings.errors import TreeringsError
from treerings.testing.model_request import ModelRequest

if TYPE_CHECKING:
    from treerings.testing.model_usage import UsageOverrides

__all__ = ["Answer", "Drop", "Failure", "ModelServerError", "Reply", "ReplyFunction", "Route", "Script", "ToolCall"]


class ModelServerError(TreeringsError, RuntimeError):
    """A model server that was used wrongly: after its end, or with a script that it cannot follow."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool that the model asks for; `arguments` as a string is sent as it is, so that it can be broken JSON."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str | None = None
    """None lets the server number it."""

    @property
    def arguments_json(self) -> str:
        """The arguments as they are sent."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """One completion, rendered in the format and the mode (stream or not) that the client asks for."""

    text: str = ""
    tool_calls: Sequence[ToolCall] = ()
    refusal: str | None = None
    reasoning: str = ""
    alternatives: Sequence[str] = ()
    """Texts of the second and further choices when the client asks for `n` of them; the first text when too few."""
    finish_reason: str | None = None
    """None derives it: `tool_calls` with tool calls, else `stop`. OpenAI's words; the other formats have theirs for them."""
    model: str | None = None
    """The model that the answer names; None repeats the one asked for."""
    usage: UsageOverrides | None = None
    """What to report instead of the counted tokens; what is not named is counted."""
    report_usage: bool = True
    """False leaves usage out of the answer, as some compatible servers do; Anthropic's format then has zeros."""
    delay: float | None = None
    """Seconds before the first byte; None takes the server's."""
    chunk_delay: float | None = None
    """Seconds between two chunks of a stream; None takes the server's."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An HTTP error with a body in the shape of the provider that was asked."""

    status: int
    message: str = ""
    code: str | None = None
    retry_after: float | None = None
    """Seconds that the client is told to wait; 0 makes the OpenAI SDK retry at once."""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drop:
    """A connection that breaks after so many chunks of `answer`; 0 breaks it before the status line.

    An answer that is not streamed breaks in the middle of its body, whatever the number.
    """

    after_chunks: int = 0
    answer: Answer = field(default_factory=lambda: Answer("This answer is cut before its end is reached."))


Reply = Answer | Failure | Drop | str | Mapping[str, Any] | list[Any]
ReplyFunction = Callable[[ModelRequest], Reply]


def as_outcome(reply: object) -> Answer | Failure | Drop:
    """The reply in its full form: text is an answer, and so is a JSON value."""
    if isinstance(reply, Answer | Failure | Drop):
        return reply
    if isinstance(reply, str):
        return Answer(reply)
    if isinstance(reply, Mapping | list):
        return Answer(json.dumps(reply, ensure_ascii=False))
    raise ModelServerError(
        f"A reply is text, a JSON object or list, Answer(...), Failure(...) or Drop(...), not {type(reply).__name__}."
    )


@dataclass(slots=True)
class _Entry:
    reply: Reply | ReplyFunction
    times: int | None


class Script:
    """A queue of replies, one for each request; every verb adds to its end and returns the script.

    `times` is how many requests one reply is for; None is for all that come. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque()
        self._entries_lock = threading.Lock()

    def say(
        self,
        text: str | Mapping[str, Any] | list[Any],
        *,
        usage: UsageOverrides | None = None,
        delay: float | None = None,
        chunk_delay: float | None = None,
        times: int | None = 1,
    ) -> Self:
        """Answer this text; a JSON value is written out as text, for structured output."""
        content = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
        return self.reply(Answer(content, usage=usage, delay=delay, chunk_delay=chunk_delay), times=times)

    def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | str | None = None,
        *,
        id: str | None = None,
        text: str = "",
        usage: UsageOverrides | None = None,
        delay: float | None = None,
        chunk_delay: float | None = None,
        times: int | None = 1,
    ) -> Self:
        """Ask for one tool; `text` is what the model says beside it."""
        calls = [ToolCall(name, {} if arguments is None else arguments, id)]
        answer = Answer(text, calls, usage=usage, delay=delay, chunk_delay=chunk_delay)
        return self.reply(answer, times=times)

    def call_tools(
        self,
        calls: Iterable[ToolCall | tuple[str, Mapping[str, Any]]],
        *,
        text: str = "",
        usage: UsageOverrides | None = None,
        delay: float | None = None,
        chunk_delay: float | None = None,
        times: int | None = 1,
    ) -> Self:
        """Ask for several tools in one answer: `[("search", {"query": "oak"}), ("clock", {})]`."""
        asked = [call if isinstance(call, ToolCall) else ToolCall(*call) for call in calls]
        answer = Answer(text, asked, usage=usage, delay=delay, chunk_delay=chunk_delay)
        return self.reply(answer, times=times)

    def fail(
        self,
        status: int,
        *,
        message: str = "",
        code: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        times: int | None = 1,
    ) -> Self:
        """Fail with this HTTP status."""
        return self.reply(Failure(status, message, code, retry_after, headers or {}), times=times)

    def drop(self, *, after_chunks: int = 0, text: str | None = None, times: int | None = 1) -> Self:
        """Break the connection, before the status line or after so many chunks of a stream of `text`."""
        drop = Drop(after_chunks) if text is None else Drop(after_chunks, Answer(text))
        return self.reply(drop, times=times)

    def reply(self, reply: Reply | ReplyFunction, *, times: int | None = 1) -> Self:
        """Answer with any reply, or with what a function of the request returns.

        The function runs in a thread of its own, may block, and may be called by several requests at once.
        """
        if not callable(reply):
            reply = as_outcome(reply)
        if times is not None and times < 1:
            raise ModelServerError(f"times={times} answers nothing. Use a number from 1, or None for every request.")
        self._check_open()
        with self._entries_lock:
            self._entries.append(_Entry(reply, times))
        return self

    @property
    def pending(self) -> int:
        """How many replies wait for a request; those with `times=None` do not count."""
        with self._entries_lock:
            return sum(entry.times or 0 for entry in self._entries)

    def take(self) -> Reply | ReplyFunction | None:
        """The next reply, used up by this; None when there is none."""
        with self._entries_lock:
            if not self._entries:
                return None
            entry = self._entries[0]
            if entry.times is not None:
                entry.times -= 1
                if entry.times == 0:
                    self._entries.popleft()
            return entry.reply

    def _check_open(self) -> None:
        """Raise `ModelServerError` when nobody can ask any more."""


class Route(Script):
    """The replies for requests of one kind, made by `ModelServer.when(...)`."""

    def __init__(self, matches: Callable[[ModelRequest], bool], check_open: Callable[[], None]) -> None:
        super().__init__()
        self._matches = matches
        self._check_server_open = check_open

    def matches(self, request: ModelRequest) -> bool:
        """Whether the request is of this route's kind."""
        return self._matches(request)

    def _check_open(self) -> None:
        self._check_server_open()
