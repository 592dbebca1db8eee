"""The Interactions interface: each request that creates one is a model call."""

from __future__ import annotations

from typing import Any

from treerings import Kind, Status, Usage
from treerings.context import OpenStep
from treerings.http_bodies import tell_when_left
from treerings.recorder import Recorder
from treerings.snapshot import snapshot
from treerings.streams import follow_inside
from treerings.usage_formats.reading import member
from treerings.wrapping import Call

__all__ = ["MODULE", "InteractionCall", "start_interaction"]

MODULE = "google.genai._gaos.interactions"
SOURCE = "google"
MAX_CHARS = 262_144
"""Characters of one streamed answer that are kept."""

_PARAMETERS = (
    "background",
    "generation_config",
    "previous_interaction_id",
    "response_modalities",
    "service_tier",
    "stream",
)


class InteractionCall(Call):
    """A request until its answer, whole or as a stream of events; a continuation is another request."""

    __slots__ = ("_chars", "_interaction", "_texts", "complete")

    def __init__(self, recorder: Recorder, step: OpenStep) -> None:
        super().__init__(recorder, step)
        self.complete = False
        self._interaction: Any = None
        self._texts: list[str] = []
        self._chars = MAX_CHARS

    def finish(self, result: Any) -> Any:
        followed = follow_inside(result, "generator", self)
        if followed is not None:
            tell_when_left(member(result, "response"), followed)
        elif member(result, "status") is not None:
            self._interaction = _facts(result)
            self.close(Status.OK, None, None)
        else:  # a raw response: the program reads it itself
            self.end()
        return result

    def take(self, item: Any) -> bool:
        if (found := member(item, "interaction")) is not None:
            self._interaction = {**(self._interaction or {}), **_facts(found)}
            self.complete = member(item, "event_type") == "interaction.completed"
        delta = member(item, "delta")
        text = member(delta, "text")
        if isinstance(text, str) and member(delta, "type") == "text":
            self._texts.append(text[: self._chars])
            self._chars -= len(self._texts[-1])
        return delta is not None

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        facts = self._interaction or {}
        output = facts.get("output")
        if output is None and self._texts:
            output = {"role": "assistant", "content": "".join(self._texts)}
        self.end(
            status=status,
            error=error,
            time_ns=time_ns,
            output=output,
            usage=facts.get("usage"),
            model=facts.get("model"),
            response_id=facts.get("id"),
            attributes={"finish_reason": facts["status"]} if facts.get("status") else None,
        )


def start_interaction(kwargs: dict[str, Any]) -> InteractionCall | None:
    """A call for `create(**body)`, or for `create(request=...)`."""
    body = kwargs
    if (request := kwargs.get("request")) is not None and member(request, "body") is not None:
        body = (
            vars(member(request, "body")) if not isinstance(member(request, "body"), dict) else member(request, "body")
        )
    given = body.get("input")
    messages = given if isinstance(given, list) else [{"role": "user", "content": given}]
    if isinstance(system := body.get("system_instruction"), str):
        messages = [{"role": "system", "content": system}, *messages]
    request_of = {name: snapshot(body[name]) for name in _PARAMETERS if _is_given(body.get(name))}
    tools = body.get("tools")
    if isinstance(tools, list) and tools:
        request_of["tools"] = [str(member(tool, "name") or member(tool, "type") or "?") for tool in tools[:100]]
    model = body.get("model") or body.get("agent")
    return InteractionCall.start(
        Kind.LLM,
        "interactions",
        source=SOURCE,
        input=messages,
        model=model if isinstance(model, str) else None,
        provider="google",
        attributes={"request": request_of} if request_of else None,
    )


def _facts(interaction: Any) -> dict[str, Any]:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Any] = []
    for step in member(interaction, "steps") or ():
        kind = member(step, "type")
        if kind == "function_call":
            calls.append({"id": member(step, "id"), "name": member(step, "name"), "args": member(step, "arguments")})
        for part in member(step, "content" if kind == "model_output" else "summary") or ():
            if isinstance(text := member(part, "text"), str):
                (texts if kind == "model_output" else thoughts).append(text)
    facts: dict[str, Any] = {
        name: value for name in ("id", "model", "status") if isinstance(value := member(interaction, name), str)
    }
    if texts or calls:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(texts)}
        if thoughts:
            message["reasoning"] = "".join(thoughts)
        if calls:
            message["tool_calls"] = calls
        facts["output"] = snapshot(message)
    if (usage := member(interaction, "usage")) is not None:
        facts["usage"] = _usage(usage)
    return {name: value for name, value in facts.items() if value}


def _usage(said: Any) -> Usage:
    """Thoughts and what tools put into the prompt are counted apart, unless the total says otherwise."""
    names = ("total_input_tokens", "total_output_tokens", "total_thought_tokens", "total_tool_use_tokens")
    given, answered, thought, tools = (member(said, name) for name in names)
    total = member(said, "total_tokens")
    apart = total is None or given is None or answered is None or total > given + answered
    return Usage(
        input_tokens=None if given is None else given + ((tools or 0) if apart else 0),
        output_tokens=None if answered is None else answered + ((thought or 0) if apart else 0),
        reasoning_tokens=thought,
        cache_read_tokens=member(said, "total_cached_tokens"),
        tool_prompt_tokens=tools,
    )


def _is_given(value: Any) -> bool:
    return value is not None and "Unset" not in type(value).__name__
