"""Runs of agents, model calls and tool calls, from the contexts that middleware is given."""

from __future__ import annotations

from typing import Any

from agent_framework import AgentContext, ChatContext, FunctionInvocationContext, MiddlewareTermination
from agent_framework.exceptions import UserInputRequiredException
from treerings import Kind, Status, runtime
from treerings.context import OpenStep, current_step
from treerings.own_steps import status_of
from treerings.recorder import Recorder
from treerings.wrapping import Call

from . import payloads
from .runs import RUNS, Run, begin, run_around

__all__ = ["SOURCE", "AgentCall", "ModelCall", "ToolCall", "meaning"]

SOURCE = "agent-framework"
MAX_CHARS = 262_144
UNNAMED = "model call"
"""The name of a call whose model is not known at its start."""


def meaning(error: BaseException) -> Status:
    """What an exception means: middleware that ends the run is no error, a tool that waits for a person neither."""
    if isinstance(error, MiddlewareTermination):
        return Status.OK
    if isinstance(error, UserInputRequiredException):
        return Status.INTERRUPTED
    return status_of(error)


class Streamed(Call):
    """A call that may be followed as a stream: what was said is gathered, to a bound."""

    __slots__ = ("_chars", "_texts")

    complete = False

    def __init__(self, recorder: Recorder, step: OpenStep) -> None:
        super().__init__(recorder, step)
        self._texts: list[str] = []
        self._chars = 0

    @property
    def said(self) -> str:
        return "".join(self._texts)

    def take(self, update: Any) -> bool:
        spoken = False
        for content in update.contents:
            if (
                content.type == "text" and content.text and content.merge_mode != "replace"
            ):  # that repeats what was said
                spoken = True
                if self._chars < MAX_CHARS:
                    self._texts.append(content.text)
                    self._chars += len(content.text)
        return spoken

    def fail(self, error: BaseException) -> None:
        status = meaning(error)
        self.close(status, error if status is not Status.OK else None, None)

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        raise NotImplementedError


class AgentCall(Streamed):
    """One run of an agent."""

    __slots__ = ()

    @classmethod
    def begin(cls, context: AgentContext) -> AgentCall | None:
        parent = current_step()
        session = getattr(context.session, "session_id", None)
        inner = parent is not None and parent.source == SOURCE
        name = getattr(context.agent, "name", None) or type(context.agent).__name__
        call = cls.start(
            Kind.AGENT,
            str(name)[:80],
            source=SOURCE,
            input=payloads.run_input(context.messages),
            labels={"session_id": session} if isinstance(session, str) and not inner else None,
        )
        if call is not None:
            begin(call.step)
        return call

    def finish(self, result: Any) -> Any:
        RUNS.pop(self.step.id, None)
        waits = bool(getattr(result, "user_input_requests", None))
        text = getattr(result, "text", None)
        self.end(status=Status.INTERRUPTED if waits else Status.OK, output=self.recorder.snapshot(text))
        return result

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        RUNS.pop(self.step.id, None)
        self.end(status=status, error=error, output=self.said or None, time_ns=time_ns)

    def take(self, update: Any) -> bool:
        super().take(update)
        return False  # the time of the first token is the model call's


class ModelCall(Streamed):
    """One call of a chat client: one request to the provider, or what a client of one's own makes of it."""

    __slots__ = ("_calls", "_details", "_raw", "_run", "finish_reason", "model", "provider", "response_id")

    def __init__(self, recorder: Recorder, step: OpenStep) -> None:
        super().__init__(recorder, step)
        self._run: Run | None = None
        self._calls: list[dict[str, Any]] = []
        self._raw: list[Any] = []
        self._details: Any = None
        self.provider: str | None = None
        self.model: str | None = None
        self.response_id: str | None = None
        self.finish_reason: str | None = None

    @classmethod
    def begin(cls, context: ChatContext) -> ModelCall | None:
        run = run_around(current_step())
        if run is not None:
            _unreached(run, context.messages)
        options = context.options or {}
        model = options.get("model") or getattr(context.client, "model", None)
        provider = payloads.provider(context.client)
        attributes: dict[str, Any] = {}
        if settings := payloads.request(options):
            attributes["request"] = runtime.current_recorder().snapshot(settings)
        if run is not None and run.failed_calls:
            attributes["attempt"] = run.failed_calls + 1
        prompt = payloads.messages(context.messages)
        instructions = options.get("instructions")
        if isinstance(instructions, str) and instructions:
            prompt.insert(0, {"role": "system", "content": instructions})
        call = cls.start(
            Kind.LLM,
            model if isinstance(model, str) else UNNAMED,
            source=SOURCE,
            input=prompt,
            model=model if isinstance(model, str) else None,
            provider=provider,
            attributes=attributes or None,
        )
        if call is not None:
            call._run, call.provider = run, provider
        return call

    def finish(self, result: Any) -> Any:
        self._calls = []
        for message in getattr(result, "messages", None) or ():
            for content in message.contents:
                self._content(content)
        self._known(result)
        self._details = getattr(result, "usage_details", None)
        raw = getattr(result, "raw_representation", None)
        if raw is not None:
            self._raw = raw if isinstance(raw, list) else [raw]
        text = getattr(result, "text", None)
        self._texts = [text[:MAX_CHARS]] if isinstance(text, str) else []
        self.close(Status.OK, None, None)
        return result

    def take(self, update: Any) -> bool:
        self._known(update)
        for content in update.contents:
            self._content(content)
            if content.type == "usage":
                self._details = dict(content.usage_details or {})
                raw = content.raw_representation
                if raw is not None and len(self._raw) < 100:
                    self._raw.append(raw)
        return super().take(update) or any(content.type == "function_call" for content in update.contents)

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        run = self._run
        if run is not None:
            if status is Status.OK:
                run.failed_calls = 0
            elif status is Status.ERROR:
                run.failed_calls += 1
            for call in self._calls:
                run.asks(call["id"], call["name"], self.step)
        output: dict[str, Any] | None = None
        if self._texts or self._calls:
            output = {"role": "assistant", "content": self.said}
            if self._calls:
                output["tool_calls"] = [{**call, "args": payloads.arguments(call["args"])} for call in self._calls]
        self.end(
            status=status,
            error=error,
            output=self.recorder.snapshot(output),
            usage=payloads.counted(self._raw, self._details, self.provider),
            model=self.model,
            response_id=self.response_id,
            attributes={"finish_reason": self.finish_reason} if self.finish_reason else None,
            time_ns=time_ns,
        )

    def _known(self, said: Any) -> None:
        for name in ("model", "response_id", "finish_reason"):
            value = getattr(said, name, None)
            value = getattr(value, "value", value)
            if isinstance(value, str) and value:
                setattr(self, name, value)

    def _content(self, content: Any) -> None:
        """A tool call, or a piece of one: the pieces of a stream that belong together have the same id, or none."""
        if content.type != "function_call":
            return
        known = self._calls[-1] if self._calls else None
        if known is not None and (not content.call_id or known["id"] == content.call_id):
            if isinstance(content.arguments, str) and isinstance(known["args"], str):
                known["args"] = (known["args"] + content.arguments)[:MAX_CHARS]
            return
        if len(self._calls) < 1_000:
            given = content.arguments if content.arguments is not None else ""
            self._calls.append({"id": content.call_id, "name": content.name, "args": given})


class ToolCall(Call):
    """One call of a function tool."""

    __slots__ = ()

    @classmethod
    def begin(cls, context: FunctionInvocationContext) -> ToolCall | None:
        run = run_around(current_step())
        call_id = context.metadata.get("call_id")
        attributes = run.begins(call_id) if run is not None else {"tool_call_id": call_id}
        return cls.start(
            Kind.TOOL,
            context.function.name,
            source=SOURCE,
            input=payloads.arguments(context.arguments),
            attributes=attributes if attributes.get("tool_call_id") else None,
        )

    def finish(self, result: Any) -> Any:
        waits = getattr(result, "type", None) == "function_approval_request"
        self.end(
            status=Status.INTERRUPTED if waits else Status.OK,
            output=None if waits else self.recorder.snapshot(payloads.contents(result)),
        )
        return result

    def fail(self, error: BaseException) -> None:
        status = meaning(error)
        self.end(status=status, error=error if status in (Status.ERROR, Status.CANCELLED) else None)


class ToolRefused(Exception):
    """A tool call that reached no tool; the text is what the model is told."""


def _unreached(run: Run, messages: Any) -> None:
    """Calls of tools that do not exist, or that other middleware refused: only the next prompt tells of them."""
    for message in reversed(list(messages)):
        results = [one for one in message.contents if one.type == "function_result"]
        if not results:
            return
        for one in results:
            if one.call_id not in run.asked or one.call_id in run.done:
                continue
            recorder = runtime.current_recorder()
            name = run.asked[one.call_id][0]
            step = recorder.start(
                Kind.TOOL, name, source=SOURCE, parent=current_step(), attributes=run.begins(one.call_id)
            )
            said = payloads.contents(one.result)
            failed = one.exception is not None
            recorder.end(
                step,
                status=Status.ERROR if failed else Status.OK,
                output=recorder.snapshot(said),
                error=ToolRefused(str(said)) if failed else None,
            )
