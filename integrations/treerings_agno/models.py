"""Model calls: each attempt of a model's `invoke`, `ainvoke`, `invoke_stream` and `ainvoke_stream`."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from treerings import Kind, Recorder, Status, StopWorkflow, Usage, runtime
from treerings.context import OpenStep, current_step

from .calls import SOURCE, Call, report, status_of
from .runs import run_around, stop_runs_around

__all__ = ["ModelCall", "asked_by"]

MAX_ASKED = 10_000
MAX_CHARS = 262_144
REQUEST = (
    "temperature",
    "top_p",
    "top_k",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
)
PROVIDERS = {"awsbedrock": "bedrock", "azurefoundry": "azure", "vertexai": "google"}
COUNTS = (
    "input_tokens",
    "output_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)

_asked: OrderedDict[tuple[str, str], str] = OrderedDict()
"""The model call that asked for a tool call, by workflow and tool call id; the latest ones."""


def asked_by(workflow_id: str, tool_call_id: str | None) -> str | None:
    """The id of the step of the model call that asked for this tool call."""
    return _asked.get((workflow_id, tool_call_id)) if tool_call_id else None


class ModelCall(Call):
    """One request to a provider, streamed or not."""

    def open(self, recorder: Recorder, parent: OpenStep | None) -> OpenStep | None:
        self.texts: list[str] = []
        self.chars = 0
        self.tool_calls: list[Any] = []
        self.counts: dict[str, int] = {}
        self.cost: float | None = None
        self.response_id: str | None = None
        self.spoken = False
        outer = parent
        while outer is not None and outer.source != SOURCE:
            outer = outer.parent
        if outer is not None and outer.kind is Kind.LLM:
            return None  # a provider's class that calls its base's method: the same request
        model = self.target
        messages = self.kwargs.get("messages", self.args[0] if self.args else None)
        request = {name: value for name in REQUEST if (value := getattr(model, name, None)) is not None}
        attributes: dict[str, Any] = {"request": recorder.snapshot(request)} if request else {}
        run = run_around(parent)
        if run is not None and run.failed_attempts:
            attributes["attempt"] = run.failed_attempts + 1
        return recorder.start(
            Kind.LLM,
            type(model).__name__,
            source=SOURCE,
            parent=parent,
            input=recorder.snapshot([_message(message) for message in messages or ()]),
            model=model.id,
            provider=_provider(model),
            attributes=attributes or None,
        )

    def stopped(self, error: StopWorkflow) -> None:
        stop_runs_around(current_step(), error)

    def item(self, recorder: Recorder, step: OpenStep, item: Any) -> None:
        self._read(item)
        if not self.spoken and (self.texts or self.tool_calls or getattr(item, "reasoning_content", None)):
            self.spoken = True
            recorder.update(step, first_token_ns=recorder.clock.monotonic_ns())

    def close(self, recorder: Recorder, step: OpenStep, result: Any) -> None:
        if result is not None:
            self._read(result)
        output: dict[str, Any] = {"content": "".join(self.texts) or None}
        if self.tool_calls:
            output["tool_calls"] = recorder.snapshot(self.tool_calls)
        for call in self.tool_calls:
            call_id = call.get("id") if isinstance(call, dict) else getattr(call, "id", None)
            if isinstance(call_id, str) and call_id:
                _asked[step.workflow_id, call_id] = step.id
        while len(_asked) > MAX_ASKED:
            _asked.popitem(last=False)
        run = run_around(step)
        if run is not None:
            run.failed_attempts = 0
        attributes = {"response_id": self.response_id} if self.response_id else None
        recorder.end(step, output=output, usage=self._usage(), attributes=attributes)

    def failed(self, error: BaseException) -> None:
        step = self.step
        if step is None or step.ended:
            return
        run = run_around(step)
        if run is not None:
            run.failed_attempts += 1
        if self.texts or self.counts:
            try:
                status, _ = status_of(error)
                said = {"content": "".join(self.texts) or None}
                shown = error if status is Status.ERROR else None
                runtime.current_recorder().end(step, status=status, output=said, usage=self._usage(), error=shown)
            except Exception as problem:
                report("A failure", problem)
        super().failed(error)

    def _read(self, response: Any) -> None:
        content = getattr(response, "content", None)
        if content is not None and self.chars < MAX_CHARS:
            text = content if isinstance(content, str) else str(content)
            self.texts.append(text)
            self.chars += len(text)
        for call in getattr(response, "tool_calls", None) or ():
            self._add_tool_call(call)
        data = getattr(response, "provider_data", None)
        if isinstance(data, dict):
            found = data.get("id") or data.get("response_id")
            self.response_id = found if isinstance(found, str) else self.response_id
        usage = getattr(response, "response_usage", None)
        if usage is not None:
            for name in COUNTS:  # a stream says its counts in parts or again and again, growing: never added up
                if count := getattr(usage, name, 0) or 0:
                    self.counts[name] = max(count, self.counts.get(name, 0))
            self.cost = getattr(usage, "cost", None) or self.cost

    def _add_tool_call(self, call: Any) -> None:
        """A whole call, or a piece of one in the provider's words: only its first piece has the id."""
        if isinstance(call, dict):
            self.tool_calls.append(dict(call))
            return
        function = getattr(call, "function", None)
        call_id, arguments = getattr(call, "id", None), getattr(function, "arguments", None) or ""
        index = getattr(call, "index", None)
        same = (known for known in reversed(self.tool_calls) if index is None or known.get("index") == index)
        known = None if call_id else next(same, None)
        if known is None:
            name = getattr(function, "name", None)
            self.tool_calls.append({"id": call_id, "index": index, "name": name, "arguments": arguments})
        elif len(known.get("arguments", "")) < MAX_CHARS:
            known["arguments"] = known.get("arguments", "") + arguments

    def _usage(self) -> Usage | None:
        """What the provider reported. agno's zeros are unknown as well as nothing: only counts are taken."""
        counts = self.counts
        if not counts.get("input_tokens") and not counts.get("output_tokens"):
            return None
        read, written = counts.get("cache_read_tokens"), counts.get("cache_write_tokens")
        reasoning = counts.get("reasoning_tokens")
        input_tokens, output_tokens = counts.get("input_tokens", 0), counts.get("output_tokens", 0)
        base = {cls.__module__ for cls in type(self.target).__mro__}
        if any(name.startswith(("agno.models.anthropic", "agno.models.aws")) for name in base):
            input_tokens += (read or 0) + (written or 0)  # theirs leaves out what the cache served
        if any(name.startswith("agno.models.google") for name in base):
            output_tokens += reasoning or 0  # Gemini counts thoughts apart
        return Usage(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cache_read_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=reasoning,
            input_audio_tokens=counts.get("audio_input_tokens"),
            output_audio_tokens=counts.get("audio_output_tokens"),
            reported_cost_usd=None if self.cost is None else str(self.cost),
        )


def _provider(model: Any) -> str | None:
    name = str(getattr(model, "provider", None) or getattr(model, "name", None) or "").lower().replace(" ", "")
    if name == "litellm":
        return str(model.id).partition("/")[0] if "/" in str(model.id) else None
    return PROVIDERS.get(name, name) or None


def _message(message: Any) -> Any:
    taken = {
        name: value
        for name in ("role", "content", "tool_calls", "tool_call_id", "tool_name")
        if (value := getattr(message, name, None)) is not None and value != []
    }
    return taken or message
