"""What an operation of haystack is, and what its tags say of it."""

from __future__ import annotations

import asyncio
import datetime
import sys
from typing import Any

from haystack.core.errors import BreakpointException, PipelineRuntimeError
from treerings import Kind, Recorder, Status, StopWorkflow, Usage
from treerings.context import OpenStep

__all__ = ["SOURCE", "Operation", "kind_of", "status_of"]

SOURCE = "haystack"
INPUTS = (
    "haystack.component.input",
    "haystack.agent.input",
    "haystack.agent.step.llm.input",
    "haystack.agent.step.tool.input",
)
OUTPUTS = (
    "haystack.component.output",
    "haystack.agent.output",
    "haystack.agent.step.llm.output",
    "haystack.agent.step.tool.output",
    "haystack.pipeline.output_data",
)


class Operation:
    """One operation while it runs: what it was given and gave, as plain data."""

    def __init__(self, kind: Kind, tags: dict[str, Any], *, is_agent: bool, caller: Operation | None) -> None:
        self.kind = kind
        self.is_agent = is_agent
        self.owner: object = None
        self.caller = caller
        self.step_id: str | None = None
        self.calls: list[tuple[str | None, str, Any]] = []
        """The tool calls that a model asked for: id, tool, arguments."""
        self.tool = tags.get("haystack.tool.name")
        self.provider = _provider(tags.get("haystack.component.fully_qualified_type"))
        self._output: Any = None
        self._failed = False
        self._usage: Usage | None = None
        self._model: str | None = None
        self._attributes: dict[str, Any] = {}

    def take(self, recorder: Recorder, step: OpenStep | None, key: str, value: Any) -> None:
        """A tag that haystack sets on the way."""
        if step is None or step.ended:
            return
        self.step_id = step.id
        if key in INPUTS:
            self._take_input(recorder, step, value)
        elif key in OUTPUTS:
            self._take_output(recorder, step, value)
        elif key == "haystack.tool.error":
            self._failed = bool(value)
        elif key == "haystack.component.visits" and isinstance(value, int) and value > 1:
            self._attributes["visit"] = value

    def end(self, recorder: Recorder, step: OpenStep, error: BaseException | None) -> None:
        """The operation is over."""
        status, shown = (Status.OK, None) if error is None else status_of(error)
        if self._failed and error is None:  # the text is given to the model
            text = self._output.get("error") if isinstance(self._output, dict) else None
            status, shown = Status.ERROR, ToolFailed(str(text or "the tool failed"))
        recorder.end(
            step,
            status=status,
            output=None if self._failed else self._output,
            usage=self._usage,
            model=self._model,
            error=shown,
            attributes=self._attributes or None,
        )

    def _take_input(self, recorder: Recorder, step: OpenStep, value: Any) -> None:
        attributes: dict[str, Any] = {}
        if self.kind is Kind.LLM and isinstance(value, dict):
            request = value.get("generation_kwargs")
            if request:
                attributes["request"] = recorder.snapshot(request)
            value = value.get("messages", value.get("prompt"))
        elif isinstance(value, dict):
            value = {name: item for name, item in value.items() if name not in ("streaming_callback", "tools", "state")}
        if self.kind is Kind.TOOL and self.caller is not None:
            attributes.update(self.caller.asked(self.tool, value))
        recorder.update(step, input=recorder.snapshot(value), attributes=attributes or None)

    def asked(self, tool: Any, arguments: Any) -> dict[str, Any]:
        """Which of this model call's tool calls this one is."""
        for call in self.calls:
            if call[1:] == (tool, arguments):
                self.calls.remove(call)
                return {"called_by": self.step_id, **({"tool_call_id": call[0]} if call[0] else {})}
        return {}

    def _take_output(self, recorder: Recorder, step: OpenStep, value: Any) -> None:
        if self.kind is Kind.LLM and isinstance(value, dict):
            self._take_replies(recorder, step, value)
        elif self.kind is Kind.EMBEDDING and isinstance(value, dict):
            self._take_embedding(value)
        else:
            self._output = recorder.snapshot(value)

    def _take_replies(self, recorder: Recorder, step: OpenStep, value: dict[str, Any]) -> None:
        replies = value.get("replies")
        listed = replies if isinstance(replies, list) else [replies]
        self._output = recorder.snapshot(listed[0] if len(listed) == 1 else listed)
        metas = value.get("meta") or [getattr(reply, "meta", None) for reply in listed]
        metas = [meta for meta in (metas if isinstance(metas, list) else [metas]) if isinstance(meta, dict)]
        for reply in listed:
            for call in getattr(reply, "tool_calls", None) or ():
                self.calls.append((call.id, call.tool_name, call.arguments))
        for meta in metas[:1]:  # several replies repeat the usage of their one call
            self._model = meta["model"] if isinstance(meta.get("model"), str) else None
            for name in ("finish_reason", "stop_reason"):
                if isinstance(meta.get(name), str):
                    self._attributes["finish_reason"] = meta[name]
            if isinstance(meta.get("id"), str):
                self._attributes["response_id"] = meta["id"]
            self._usage = _usage(meta.get("usage"), self.provider)
            started = meta.get("completion_start_time")
            if isinstance(started, str):
                at_ns = int(datetime.datetime.fromisoformat(started).timestamp() * 1e9)
                recorder.update(step, first_token_ns=recorder.clock.at(at_ns))

    def _take_embedding(self, value: dict[str, Any]) -> None:
        vector, documents, meta = value.get("embedding"), value.get("documents"), value.get("meta")
        if isinstance(documents, list):
            vector = getattr(documents[0], "embedding", None) if documents else None
            self._output = {"vectors": len(documents), "dimensions": len(vector) if vector else None}
        elif isinstance(vector, list):
            self._output = {"vectors": 1, "dimensions": len(vector)}
        if isinstance(meta, dict):
            self._model = meta["model"] if isinstance(meta.get("model"), str) else None
            self._usage = _usage(meta.get("usage"), self.provider)


class ToolFailed(Exception):
    """What a tool raised, of which haystack tells the text only."""


def kind_of(name: str, tags: dict[str, Any]) -> tuple[Kind, str, bool]:
    """The kind and the name of an operation, and whether it is a component that is an agent."""
    component = str(tags.get("haystack.component.name") or tags.get("haystack.component.type") or "")
    if name == "haystack.pipeline.run":
        metadata = tags.get("haystack.pipeline.metadata")
        title = metadata.get("name") if isinstance(metadata, dict) else None
        return Kind.WORKFLOW, str(title or "Pipeline")[:80], False
    if name == "haystack.component.run":
        kind = _component_kind(tags)
        return kind, component[:80], kind is Kind.AGENT
    if name == "haystack.agent.run":
        return Kind.AGENT, "Agent", True
    if name == "haystack.agent.step.llm":
        return Kind.LLM, "chat_generator", False
    if name == "haystack.chat_generator.run":
        return Kind.LLM, str(tags.get("haystack.component.type") or "chat_generator")[:80], False
    if name == "haystack.agent.step.tool":
        return Kind.TOOL, str(tags.get("haystack.tool.name") or "tool")[:80], False
    if name == "haystack.agent.hook":
        return Kind.CHAIN, str(tags.get("haystack.agent.hook.name") or "hook").rpartition(".")[2][:80], False
    if name == "haystack.agent.hook.human_in_the_loop.strategy":
        return Kind.HUMAN, str(tags.get("haystack.tool.name") or "confirmation")[:80], False
    return Kind.CHAIN, name[:80], False


def _component_kind(tags: dict[str, Any]) -> Kind:
    """By the class and by what goes in and comes out of it; the names in a class's line are those of haystack's own."""
    names = _classes(str(tags.get("haystack.component.fully_qualified_type") or ""))
    given = tags.get("haystack.component.input_spec") or {}
    gives = tags.get("haystack.component.output_spec") or {}
    if "_SuperComponent" in names or "SuperComponent" in names:
        return Kind.CHAIN
    if "Agent" in names:
        return Kind.AGENT
    if "replies" in gives and ("messages" in given or "prompt" in given):
        return Kind.LLM
    for suffix, kind in (
        ("Embedder", Kind.EMBEDDING),
        ("Retriever", Kind.RETRIEVER),
        ("Ranker", Kind.RERANKER),
        ("ToolInvoker", Kind.TOOL),
        ("WebSearch", Kind.RETRIEVER),
    ):
        if any(name.endswith(suffix) for name in names):
            return kind
    return Kind.EMBEDDING if "embedding" in gives else Kind.NODE


def _classes(qualified: str) -> list[str]:
    """The names of the class and of its bases."""
    module, _, name = qualified.rpartition(".")
    cls = getattr(sys.modules.get(module), name, None)
    return [base.__name__ for base in cls.__mro__] if isinstance(cls, type) else [name]


def _provider(qualified: Any) -> str | None:
    """haystack's own generators and embedders are OpenAI's and Azure's; the others live in packages named after theirs."""
    text = str(qualified or "")
    if ".generators." not in text and ".embedders." not in text:
        return None
    if text.startswith("haystack.components."):
        last = text.rpartition(".")[2]
        return next((name for name in ("azure", "openai") if name in last.lower()), None)
    if text.startswith("haystack_integrations.components."):
        name = text.split(".")[3]
        return {"google_genai": "google", "amazon_bedrock": "bedrock"}.get(name, name)
    return None


def _usage(told: Any, provider: str | None) -> Usage | None:
    if not told:
        return None  # a stream that reported nothing
    usage = Usage.from_provider(told, provider)
    return usage if usage.total_tokens else None


def status_of(error: BaseException) -> tuple[Status, BaseException | None]:
    """What an exception means, and the one to show: haystack wraps what a component raised."""
    if isinstance(error, BreakpointException):
        return Status.INTERRUPTED, None
    if isinstance(error, StopWorkflow | asyncio.CancelledError) or not isinstance(error, Exception):
        return Status.CANCELLED, None
    if isinstance(error, PipelineRuntimeError) and error.__cause__ is not None:
        return status_of(error.__cause__)
    return Status.ERROR, error
