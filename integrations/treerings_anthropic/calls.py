"""One request to Anthropic's Messages interface: what it asks for, and what came of it."""

from __future__ import annotations

import base64
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from treerings import Kind, Status
from treerings.attempts import note_given_up
from treerings.context import OpenStep
from treerings.hosts import provider_of
from treerings.http_bodies import BodyReader, follow_body, tell_when_left
from treerings.own_steps import status_of
from treerings.recorder import Recorder
from treerings.snapshot import Budget, snapshot
from treerings.streams import follow_inside
from treerings.usage_formats.reading import member
from treerings.wrapping import Call

from .answers import Answer

__all__ = ["SOURCE", "SdkCall", "asked_by", "prompt_of", "start"]

logger = logging.getLogger("treerings")

SOURCE = "anthropic"
PATHS = {"/v1/messages": "messages", "/v1/complete": "completions"}
"""What is a model call; counting tokens is free, and a batch answers another day."""
REQUEST = frozenset(
    (
        *(
            "max_tokens",
            "max_tokens_to_sample",
            "temperature",
            "top_p",
            "top_k",
            "stop_sequences",
            "stream",
            "thinking",
        ),
        *("tool_choice", "service_tier", "speed", "output_config", "container", "inference_geo", "effort"),
    )
)
_CLOUDS = {"Bedrock": "bedrock", "Vertex": "google-vertex", "Foundry": "azure"}
MAX_ASKED = 1_000

_asked: OrderedDict[str, str] = OrderedDict()


def asked_by(tool_call_id: str) -> str | None:
    """The id of the step of the model call that asked for this tool call, of the last thousand."""
    return _asked.get(tool_call_id)


class SdkCall(Call):
    """A model call whose answer comes whole, as a stream of events, or as bytes that the program reads itself."""

    __slots__ = ("_body", "_dressed", "answer")

    def __init__(self, recorder: Recorder, step: OpenStep) -> None:
        super().__init__(recorder, step)
        self.answer = Answer(recorder.snapshot)
        self._body: BodyReader | None = None
        """Where the program reads the answer itself."""
        self._dressed = False
        """Whether the model asked for has a name of Bedrock's, which is what it is priced by."""

    def finish(self, result: Any) -> Any:
        if member(result, "type") in ("message", "completion"):
            self._finish_whole(result)
        elif (response := member(result, "http_response")) is not None or _is_http(result):
            self._finish_body(result if response is None else response)
        elif (followed := follow_inside(result, "_iterator", self)) is not None:
            tell_when_left(member(result, "response"), followed)
        else:
            self._finish_whole(result)
        return result

    def fail(self, error: BaseException) -> None:
        note_given_up(self.step, error)
        self.close(status_of(error), error, None)

    def see_before(self, parser: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """`parser`, which may refuse an answer that was billed: it is looked at before."""

        def parse_seen(message: Any) -> Any:
            try:
                if not self.step.ended:
                    self.answer = Answer(self.recorder.snapshot)
                    self.answer.take_message(message)
            except Exception as error:  # a bug of ours is no reason to refuse the answer
                logger.error("An answer is not recorded before it is parsed", exc_info=error)
            return parser(message)

        return parse_seen

    def _finish_whole(self, message: Any) -> None:
        self.answer.take_message(message)
        self.close(Status.OK, None, None)

    def _finish_body(self, response: Any) -> None:
        """The program reads the answer itself: what has been read is here, the rest is looked at on its way."""
        self._body = BodyReader(response, self._take_json)
        if not follow_body(response, self):
            body, self._body = self._body, None
            self._take_content(body.content_of_whole())
            self.close(Status.OK, None, None)

    @property
    def complete(self) -> bool:
        """A consumer that leaves a stream after its last count cancels nothing."""
        return self.answer.whole

    def take(self, item: Any) -> bool:
        return self.answer.take_event(item) if self._body is None else self._body.take(item)

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        if self._body is not None:
            self._take_content(self._body.content())
        answer = self.answer
        for tool_call_id in answer.tool_call_ids():
            _asked[tool_call_id] = self.step.id
            if len(_asked) > MAX_ASKED:
                _asked.popitem(last=False)
        self.end(
            status=status,
            error=error,
            time_ns=time_ns,
            output=answer.output(),
            usage=answer.usage(),
            model=None if self._dressed else answer.model,
            response_id=answer.id,
            attributes={"finish_reason": answer.finish_reason} if answer.finish_reason else None,
        )

    def _take_content(self, content: Any) -> None:
        if isinstance(content, dict):
            self.answer.take_message(content)

    def _take_json(self, event: Any) -> bool:
        packed = member(event, "bytes")  # a frame of Bedrock's
        return self.answer.take_event(_json(base64.b64decode(packed)) if isinstance(packed, str) else event)


def start(client: Any, options: Any) -> SdkCall | None:
    """A call for this request; None for one that is no model call."""
    path = _path(str(options.url))
    body = _body_of(options)
    if path is None or str(options.method).lower() != "post" or not isinstance(body, Mapping):
        return None
    model = body.get("model")
    provider = provider_of(client, _CLOUDS)
    if provider is None and isinstance(model, str) and model.startswith("claude"):  # through a gateway
        provider = "anthropic"
    call = SdkCall.start(
        Kind.LLM,
        path,
        source=SOURCE,
        input=body.get("prompt") if path == "completions" else prompt_of(body.get("messages"), body.get("system")),
        model=model if isinstance(model, str) else None,
        provider=provider,
        attributes=_attributes(path, body),
    )
    if call is not None:
        call._dressed = provider == "bedrock"
        if callable(parser := member(options, "post_parser")):
            options.post_parser = call.see_before(parser)
    return call


def _path(url: str) -> str | None:
    path = url.partition("?")[0].rstrip("/")
    return next((name for end, name in PATHS.items() if path.endswith(end)), None)


def _body_of(options: Any) -> Any:
    body, extra = options.json_data, options.extra_json
    if isinstance(body, Mapping) and isinstance(extra, Mapping):
        return {**body, **extra}
    return body


def prompt_of(messages: Any, system: Any = None) -> list[Any]:
    """The conversation with the system prompt first, within one budget that the latest messages get first."""
    if not isinstance(messages, list | tuple):  # an iterator is read once, by the SDK
        messages = [messages]
    if isinstance(system, str | list) and system:
        messages = [{"role": "system", "content": system}, *messages]
    budget = Budget()
    taken: list[Any] = []
    for place in range(len(messages) - 1, -1, -1):
        if budget.items <= 0 or budget.chars <= 0:
            taken.append(f"… {place + 1} earlier messages")
            break
        taken.append(snapshot(messages[place], budget=budget))
    taken.reverse()
    return taken


def _attributes(path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    request = {name: snapshot(value) for name, value in body.items() if name in REQUEST and _is_given(value)}
    tools = body.get("tools")
    if isinstance(tools, list | tuple) and tools:
        request["tools"] = [str(member(tool, "name") or member(tool, "type") or "?") for tool in tools[:100]]
    attributes: dict[str, Any] = {"request": request} if request else {}
    if path == "completions":
        attributes["call_type"] = "completion"
    elif _shows_image(body.get("messages")):
        attributes["call_type"] = "vision"
    return attributes or None


def _shows_image(messages: Any) -> bool:
    for message in messages if isinstance(messages, list | tuple) else ():
        content = member(message, "content")
        if isinstance(content, list | tuple) and any(member(part, "type") == "image" for part in content):
            return True
    return False


def _is_given(value: Any) -> bool:
    return value is not None and type(value).__name__ not in ("Omit", "NotGiven")


def _is_http(result: Any) -> bool:
    return hasattr(result, "iter_raw") and hasattr(result, "is_stream_consumed")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:  # a stream of events, or a page of a proxy
        return None
