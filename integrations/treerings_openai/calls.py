"""One request of the SDK as a step, from its options to the end of its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from treerings import Status, Usage
from treerings.attempts import note_given_up
from treerings.hosts import provider_of
from treerings.http_bodies import BodyReader, follow_body, tell_when_left
from treerings.streams import follow_inside
from treerings.wrapping import Call

from . import prompts
from .answers import Facts
from .endpoints import Endpoint, endpoint_of
from .streamed import Fold

__all__ = ["SOURCE", "SdkCall", "start"]

SOURCE = "openai"
_CLOUDS = {"Azure": "azure", "Bedrock": "bedrock"}


def start(client: Any, options: Any) -> SdkCall | None:
    """A call for this request; None for one that is no model call."""
    endpoint = endpoint_of(options.method, options.url)
    if endpoint is None:
        return None
    given, extra = options.json_data, options.extra_json
    body = given if isinstance(given, dict) else {}
    if isinstance(extra, Mapping):
        body = {**body, **extra}
    model = body.get("model")
    attributes: dict[str, Any] = prompts.attributes_of(body, options.files)
    if request := prompts.request_of(body):
        attributes["request"] = request
    if call_type := endpoint.call_type or prompts.call_type_of(body):
        attributes["call_type"] = call_type
    provider = provider_of(client, _CLOUDS)
    call = SdkCall.start(
        endpoint.kind,
        endpoint.name,
        source=SOURCE,
        input=endpoint.input(body),
        model=model if isinstance(model, str) else None,
        provider=provider,
        attributes=attributes or None,
    )
    if call is None:
        return None
    call.endpoint = endpoint
    call.provider = provider
    call.gathered = endpoint.fold(endpoint.read, provider)
    call.body = None
    call.audio = attributes.get("audio")
    call.characters = 0
    if endpoint.call_type == "speech" and isinstance(model, str) and model.startswith("tts"):
        call.characters = len(body.get("input") or "")
    return call


class SdkCall(Call):
    """A request on its way; a streamed answer is gathered while the program reads it."""

    __slots__ = ("audio", "body", "characters", "endpoint", "gathered", "provider")

    endpoint: Endpoint
    provider: str | None
    audio: dict[str, Any] | None
    characters: int
    """What is read aloud, where that is billed."""
    gathered: Fold
    body: BodyReader | None
    """Where the program reads the answer itself."""

    def finish(self, result: Any) -> Any:
        if hasattr(result, "http_response"):
            self._finish_raw(result.http_response)
        elif hasattr(result, "_iterator") and hasattr(result, "response"):
            self._follow(result)
        elif hasattr(result, "iter_bytes"):  # sound, or the response itself
            self._finish_raw(getattr(result, "response", result))
        else:
            self._conclude(self.endpoint.read(result, self.provider))
        return result

    def fail(self, error: BaseException) -> None:
        note_given_up(self.step, error)
        super().fail(error)

    def _follow(self, stream: Any) -> None:
        followed = follow_inside(stream, "_iterator", self)
        if followed is None:
            self.end()
        else:
            tell_when_left(stream.response, followed)  # the helpers for streams close the response, not the stream

    def _finish_raw(self, response: Any) -> None:
        """The program reads the body itself, if it does: it is followed where it has not come yet."""
        self.body = BodyReader(response, self.gathered.take)
        if getattr(response, "is_stream_consumed", False) or getattr(response, "is_closed", False):
            self._conclude(self._read_of(self.body.content_of_whole()))
        elif not follow_body(response, self):
            self.end()

    def _read_of(self, content: Any) -> Facts:
        """What a body says, the content of which is given, if it was no stream of events and no sound."""
        assert self.body is not None
        if self.body.kind == "events":
            return self.gathered.facts()
        if self.body.kind == "bytes":
            content = self.body.size if self.endpoint.call_type == "speech" else None
        return Facts() if content is None else self.endpoint.read(content, self.provider)

    @property
    def complete(self) -> bool:
        return self.gathered.complete or (self.body is not None and self.body.done)

    def take(self, item: Any) -> bool:
        return self.gathered.take(item) if self.body is None else self.body.take(item)

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        facts = self.gathered.facts() if self.body is None else self._read_of(self.body.content())
        self._conclude(facts, status=status, error=error, time_ns=time_ns)

    def _conclude(
        self,
        facts: Facts,
        *,
        status: Status = Status.OK,
        error: BaseException | None = None,
        time_ns: int | None = None,
    ) -> None:
        if facts.error is not None and error is None:
            status, error = Status.ERROR, facts.error
        attributes = facts.attributes
        if self.audio and "audio" in attributes:
            attributes["audio"] = {**self.audio, **attributes["audio"]}
        if self.characters and facts.usage is None:
            facts.usage = Usage(requests={"characters": self.characters})
        self.end(
            status=status,
            output=facts.output,
            usage=facts.usage,
            model=facts.model,
            response_id=facts.response_id,
            error=error,
            attributes=attributes,
            time_ns=time_ns,
        )
