"""Model calls: `create` and `create_stream` of model clients, with what AutoGen's events add to them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import ChatCompletionClient, CreateResult
from treerings import Kind, Usage, runtime
from treerings.context import OpenStep, current_step
from treerings.request_parameters import REQUEST_PARAMETERS

from . import payloads
from .agents import run_around
from .classes import WrappedMethods
from .outcome import status_of
from .places import note_stop, place
from .watching import argument, awaiting, streaming

__all__ = ["CLIENTS", "call_around", "call_watch"]

SOURCE = "autogen"
MAX_CALLS = 10_000

PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure",
    "llama_cpp": "llama_cpp",
    "ollama": "ollama",
    "openai": "openai",
}


class CallWatch:
    """Watches one model call."""

    def __init__(self, client: Any, step: OpenStep) -> None:
        self.client = client
        self.step = step
        self.usage: Usage | None = None
        """What an event said: with cached and reasoning tokens, which a client's result leaves out."""
        self.model: str | None = None
        self.attributes: dict[str, Any] = {}
        self.result: CreateResult | None = None
        self.speaks = False

    def item(self, item: Any) -> None:
        if isinstance(item, CreateResult):
            self.result = item
        elif not self.speaks:
            self.speaks = True
            recorder = runtime.current_recorder()
            recorder.update(self.step, first_token_ns=recorder.clock.monotonic_ns())

    def heard(self, response: Any) -> None:
        """AutoGen told what the provider answered."""
        read = read_response(response)
        self.usage, self.model = read.usage or self.usage, read.model or self.model
        self.attributes.update(read.attributes)

    def end(self, error: BaseException | None, result: Any = None) -> BaseException | None:
        _calls.pop(self.step.id, None)
        made = result if isinstance(result, CreateResult) else self.result
        note_stop(self.step, error)
        usage = self.usage
        if made is not None:
            self.attributes.setdefault("finish_reason", made.finish_reason)
            usage = usage or counted(made.usage)
            if made.cached:
                usage = usage or Usage()
                usage.cache_hit = self.attributes["cache_hit"] = True
            asked_for(self.step, made.content)
        finished = made is not None and isinstance(error, GeneratorExit)
        runtime.current_recorder().end(
            self.step,
            status=status_of(None if finished else error),
            output=None if made is None else payloads.taken(payloads.answer(made)),
            usage=usage,
            model=self.model,
            error=error if isinstance(error, Exception) else None,
            attributes=self.attributes or None,
        )
        return None


_calls: OrderedDict[str, CallWatch] = OrderedDict()
"""The calls that run, by step id."""


def call_around() -> CallWatch | None:
    """The model call in which the running code is; None outside of one."""
    step = current_step() if _calls else None
    while step is not None:
        if (call := _calls.get(step.id)) is not None:
            return call
        if step.kind is not Kind.LLM:  # only the same call as a provider's SDK sees it lies between
            return None
        step = step.parent
    return None


def asked_for(step: OpenStep, content: Any) -> None:
    """Note for the agent's tools that this call asked for them."""
    run = run_around(step.parent) if isinstance(content, list) else None
    if run is not None:
        for call in content:
            if isinstance(call, FunctionCall):
                run.asked(call.id, step)


def call_watch(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CallWatch | None:
    """A step for this call; None while off, and for a method that another one of the same client calls."""
    recorder = runtime.current_recorder()
    if not recorder.enabled:
        return None
    parent = place()
    around = None if parent is None else _calls.get(parent.id)
    if around is not None and around.client is client:
        return None
    attributes: dict[str, Any] = {}
    if request := _request(client, kwargs):
        attributes["request"] = recorder.snapshot(request)
    step = recorder.start(
        Kind.LLM,
        type(client).__name__,
        source=SOURCE,
        parent=parent,
        input=payloads.taken(payloads.model_messages(argument(args, kwargs, 0, "messages") or ())),
        model=_model(client),
        provider=_provider(type(client)),
        attributes=attributes or None,
    )
    call = _calls[step.id] = CallWatch(client, step)
    if len(_calls) > MAX_CALLS:
        _calls.popitem(last=False)
    return call


CLIENTS = WrappedMethods(ChatCompletionClient, {"create": awaiting(call_watch), "create_stream": streaming(call_watch)})


# -- reading clients and answers ------------------------------------------------------------------------------------


class Read:
    """What a provider's answer says."""

    __slots__ = ("attributes", "model", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.model: str | None = None
        self.attributes: dict[str, Any] = {}


def read_response(response: Any) -> Read:
    """Usage, model, response id and finish reason out of the response of an event."""
    read = Read()
    if not isinstance(response, Mapping):
        return read
    if isinstance(response.get("model"), str):
        read.model = response["model"]
    if isinstance(response.get("id"), str):
        read.attributes["response_id"] = response["id"]
    usage = Usage.from_provider(response)
    if usage.total_tokens:  # a stream that reported nothing says 0 and 0
        read.usage = usage
    reason = response.get("finish_reason") or response.get("stop_reason")
    choices = response.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        reason = choices[0].get("finish_reason")
    if isinstance(reason, str):
        read.attributes["finish_reason"] = reason
    return read


def counted(usage: Any) -> Usage | None:
    """The counts of a client's result. Clients say 0 and 0 where the provider reported nothing: that is unknown."""
    given, made = getattr(usage, "prompt_tokens", 0), getattr(usage, "completion_tokens", 0)
    return Usage(input_tokens=given, output_tokens=made) if given or made else None


def _model(client: Any) -> str | None:
    arguments = getattr(client, "_create_args", None)
    model = arguments.get("model") if isinstance(arguments, Mapping) else getattr(client, "_model_name", None)
    return model if isinstance(model, str) else None


def _provider(cls: type) -> str | None:
    for base in cls.__mro__:
        parts = base.__module__.split(".")
        if parts[:2] == ["autogen_ext", "models"] and len(parts) > 2:
            name = PROVIDERS.get(parts[2])
            if name == "openai" and "Azure" in base.__name__:
                return "azure"
            return "bedrock" if name == "anthropic" and "Bedrock" in base.__name__ else name
    return None


def _request(client: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The sampling parameters; by name, for clients keep keys and headers beside them."""
    request: dict[str, Any] = {}
    for given in (getattr(client, "_create_args", None), kwargs.get("extra_create_args")):
        if isinstance(given, Mapping):
            request.update({name: given[name] for name in REQUEST_PARAMETERS if given.get(name) is not None})
    choice = kwargs.get("tool_choice")
    if choice is not None and choice != "auto":
        request["tool_choice"] = choice if isinstance(choice, str) else getattr(choice, "name", None)
    output = kwargs.get("json_output")
    if output:
        request["json_output"] = output.__name__ if isinstance(output, type) else True
    return request
