"""ModelServer: a scripted model provider on loopback, to run real agents without a network."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

from treerings.testing.model_forms import FORM, read_form
from treerings.testing.model_http import HttpRequest, HttpResponse, HttpServer
from treerings.testing.model_parts import CREATED
from treerings.testing.model_rendering import (
    COMPLETIONS,
    error_response,
    failure_response,
    json_response,
    rendered,
    unscripted,
)
from treerings.testing.model_request import ModelRequest
from treerings.testing.model_script import (
    Answer,
    Drop,
    Failure,
    ModelServerError,
    Reply,
    ReplyFunction,
    Route,
    Script,
    as_outcome,
)
from treerings.testing.model_threads import Threads
from treerings.testing.model_usage import UsageTotal
from treerings.testing.recordings import Call
from treerings.testing.recordings_player import Player, played

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

__all__ = ["ModelServer"]


class ModelServer(Script):
    """A server that speaks the HTTP interfaces of OpenAI, Anthropic and Google and answers what it was told to.

    It runs from its construction until `close()` or the end of its `with` block. A request is answered by the first
    that has a reply for it: the routes of `when`, in their order; the server's own queue, in the order of arrival; the
    recordings given to `play`; `default`. Without any, it fails with status 400 and code `script_exhausted`.

    `default` is a reply or a function of the request for all requests without a scripted one; `"echo"` repeats the last
    text of the user. `keep_requests` bounds `requests`: the oldest are forgotten.
    """

    def __init__(self, *, default: Reply | ReplyFunction | None = None, keep_requests: int = 10_000) -> None:
        super().__init__()
        if default is not None and not callable(default):
            default = _echo if default == "echo" else as_outcome(default)
        self._default = default
        self._routes: list[Route] = []
        self._players: list[Player] = []
        self._requests: deque[ModelRequest] = deque(maxlen=keep_requests)
        self._conversations = Threads()
        self._received = 0
        self._served = UsageTotal()
        self._delay = 0.0
        self._chunk_delay = 0.0
        self._state_lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None
        self._http = HttpServer(self._handle, thread_name="treerings-model-server")

    @property
    def url(self) -> str:
        """The server's address without a path: `base_url` for the Anthropic and Google SDKs."""
        self._check_open()
        return f"http://127.0.0.1:{self._http.port}"

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as `base_url`; ends with `/v1`."""
        return f"{self.url}/v1"

    @property
    def requests(self) -> list[ModelRequest]:
        """The requests received so far, in order of arrival."""
        with self._state_lock:
            return list(self._requests)

    @property
    def usage_served(self) -> UsageTotal:
        """What the answers that arrived whole reported to their clients, added up; errors and drops report nothing."""
        with self._state_lock:
            return self._served

    def when(
        self,
        predicate: Callable[[ModelRequest], bool] | None = None,
        *,
        model: str | None = None,
        contains: str | None = None,
        tool_result: str | bool | None = None,
        endpoint: str | None = None,
    ) -> Route:
        """A queue of its own for the requests that meet every condition given.

        `contains` is looked for in the whole conversation. `tool_result` is a text in the results that the conversation
        ends with, True for any result, False for none. `endpoint` is the end of the path, such as `embeddings`; without
        it a route is for completions of every format: chats, texts, responses, messages and contents.
        """

        def matches(request: ModelRequest) -> bool:
            return (
                (request.endpoint in COMPLETIONS if endpoint is None else request.endpoint == endpoint.strip("/"))
                and (model is None or request.model == model)
                and (contains is None or contains in request.text)
                and _has_tool_result(request, tool_result)
                and (predicate is None or predicate(request))
            )

        self._check_open()
        route = Route(matches, self._check_open)
        with self._state_lock:
            self._routes.append(route)
        return route

    def delay(self, seconds: float, *, chunk: float = 0.0) -> Self:
        """From now on wait before every answer, and `chunk` seconds between the chunks of a stream."""
        self._check_open()
        self._delay, self._chunk_delay = seconds, chunk
        return self

    def play(
        self,
        recording: str | Path | Iterable[Call | Mapping[str, Any]],
        *,
        match: Literal["order", "content"] = "order",
    ) -> list[Call]:
        """Answer with recorded calls: a file, or a list of them; returns them.

        `match="order"` gives a request the next call to the same endpoint. `match="content"` gives it the next call
        with the same conversation; calls may then be asked for in any order, and repeatedly.
        """
        self._check_open()
        player = Player(recording, match=match)
        with self._state_lock:
            self._players.append(player)
        return list(player.calls)

    def close(self) -> None:
        """Cut open connections, free the port and end the server's threads; waits for functions that make a reply."""
        self._http.close()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return "ModelServer(closed)" if self._http.closed else f"ModelServer({self.base_url})"

    def _check_open(self) -> None:
        if self._http.closed:
            raise ModelServerError("This ModelServer is closed. Create a new one: with ModelServer() as server: ...")

    async def _handle(self, http: HttpRequest) -> HttpResponse:
        with self._state_lock:
            self._received += 1
            number = self._received
        request = ModelRequest.from_http(http.method, http.target, http.headers, None)
        kind = http.headers.get("content-type", "")
        is_form = kind.lower().startswith(FORM)
        try:
            if http.body:
                request = replace(request, body=read_form(kind, http.body) if is_form else json.loads(http.body))
        except ValueError as error:
            what, code = ("a form", "invalid_form") if is_form else ("JSON", "invalid_json")
            response = error_response(request, 400, f"The request's body is not {what}: {error}", code=code)
        else:
            request = self._conversations.continued(request)
            with self._state_lock:
                self._requests.append(request)
            try:
                response = await self._answer(request, number)
            except Exception as error:
                text = f"{type(error).__name__} while answering {http.method} {request.path}: {error}"
                response = error_response(request, 500, text, code="reply_failed")
        response.headers = {"x-request-id": f"req_{number:06d}", **response.headers}
        return response

    async def _answer(self, request: ModelRequest, number: int) -> HttpResponse:
        reply = self._next_reply(request)
        if reply is None:
            return self._answer_unscripted(request, number)
        if isinstance(reply, Call):
            return self._whole(*played(reply, request))
        if reply is _echo:
            reply = _echo(request)
        elif callable(reply):
            reply = await asyncio.get_running_loop().run_in_executor(self._reply_threads(), reply, request)
        outcome = as_outcome(reply)
        if isinstance(outcome, Failure):
            return failure_response(request, outcome, self._delay)
        answer = outcome.answer if isinstance(outcome, Drop) else outcome
        response = self._whole(*rendered(request, answer, number))
        self._conversations.keep(request, answer, number)
        response.delay = self._delay if answer.delay is None else answer.delay
        response.part_delay = self._chunk_delay if answer.chunk_delay is None else answer.chunk_delay
        response.drop_after = outcome.after_chunks if isinstance(outcome, Drop) else None
        return response

    def _next_reply(self, request: ModelRequest) -> Reply | ReplyFunction | Call | None:
        with self._state_lock:
            routes, players = list(self._routes), list(self._players)
        for route in routes:
            if route.matches(request) and (reply := route.take()) is not None:
                return reply
        if request.endpoint in COMPLETIONS and (reply := self.take()) is not None:
            return reply
        for player in players:
            if (call := player.take(request)) is not None:
                return call
        return self._default if request.endpoint in COMPLETIONS else None

    def _answer_unscripted(self, request: ModelRequest, number: int) -> HttpResponse:
        if request.endpoint in COMPLETIONS or any(player.serves(request) for player in self._players):
            return error_response(request, 400, self._exhausted(request, number), code="script_exhausted")
        if (answer := unscripted(request, number)) is not None:
            return self._whole(*answer)
        listed = {"object": "model", "created": CREATED, "owned_by": "treerings"}
        if request.endpoint == "models":
            return json_response({"object": "list", "data": [{"id": "scripted", **listed}]})
        if "/models/" in request.path and request.method == "GET":
            return json_response({"id": request.model, **listed})
        text = (
            f"This server has no {request.method} {request.path}. It has chat/completions, responses, completions, "
            "embeddings, moderations and models, Anthropic's messages, Google's models/...:generateContent; "
            "other providers' paths are answered from recordings: server.play(...)."
        )
        return error_response(request, 404, text)

    def _exhausted(self, request: ModelRequest, number: int) -> str:
        asked = request.last_text if len(request.last_text) <= 120 else request.last_text[:119] + "…"
        recorded = "".join(f" {player.describe(request)}" for player in self._players)
        return (
            f"No reply is left for request {number}, {request.method} {request.path} to model {request.model!r}, "
            f"which asks {asked!r}.{recorded} Script one more, server.say(...) or server.call_tool(...), "
            'or answer the rest with ModelServer(default="echo").'
        )

    def _whole(self, response: HttpResponse, usage: UsageTotal) -> HttpResponse:
        """The response, which adds to the totals when it is sent to its end."""

        def add() -> None:
            with self._state_lock:
                self._served += usage

        response.before_last_part = add
        return response

    def _reply_threads(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="treerings-model-server-reply")
        return self._threads


def _echo(request: ModelRequest) -> Reply:
    return Answer(request.last_text)


def _has_tool_result(request: ModelRequest, wanted: str | bool | None) -> bool:
    if wanted is None:
        return True
    result = request.tool_result
    if isinstance(wanted, bool):
        return (result is not None) is wanted
    return result is not None and wanted in result
