"""Runs of agents, model calls, tools and code, from the arguments of smolagents' own methods."""

from __future__ import annotations

from typing import Any

from treerings import Kind, Status, StopWorkflow, Usage, runtime
from treerings.context import OpenStep, current_step
from treerings.own_steps import status_of
from treerings.recorder import Recorder
from treerings.streams import follow_generator
from treerings.wrapping import Call

from . import payloads
from .runs import RUNS, Run, begin, run_around

__all__ = ["SOURCE", "AgentCall", "CodeCall", "ModelCall", "StreamedCall", "ToolCall", "called_tool"]

SOURCE = "smolagents"
MAX_CHARS = 262_144
REQUEST = (
    "frequency_penalty",
    "max_tokens",
    "presence_penalty",
    "reasoning_effort",
    "seed",
    "temperature",
    "top_k",
    "top_p",
)


class AgentCall(Call):
    """One run of an agent."""

    __slots__ = ("_agent", "_output", "_streams")

    complete = False

    def __init__(self, recorder: Recorder, step: OpenStep) -> None:
        super().__init__(recorder, step)
        self._agent: Any = None
        self._output: Any = None
        self._streams = False

    @classmethod
    def begin(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> AgentCall | None:
        agent = args[0]
        name = getattr(agent, "name", None) or type(agent).__name__
        call = cls.start(
            Kind.AGENT, str(name)[:80], source=SOURCE, input=args[1] if len(args) > 1 else kwargs.get("task")
        )
        if call is not None:
            call._agent = agent
            call._streams = bool(args[2] if len(args) > 2 else kwargs.get("stream", False))
            begin(call.step)
        return call

    def finish(self, result: Any) -> Any:
        if self._streams:
            return follow_generator(result, self)
        self._output = self.recorder.snapshot(getattr(result, "output", result))
        self.close(Status.OK, None, None)
        return result

    def fail(self, error: BaseException) -> None:
        self.close(status_of(error), error, None)

    def take(self, item: Any) -> bool:
        if type(item).__name__ == "FinalAnswerStep":
            self._output = self.recorder.snapshot(item.output)
        return False

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        RUNS.pop(self.step.id, None)
        interrupted = getattr(self._agent, "interrupt_switch", False) and type(error).__name__ == "AgentError"
        if interrupted or _stopped(error):
            status = Status.CANCELLED
        self.end(status=status, error=error, output=self._output, time_ns=time_ns)


def _stopped(error: BaseException | None) -> bool:
    """Whether a guard's stop is what smolagents made an error of its own of."""
    return isinstance(error, StopWorkflow) or isinstance(getattr(error, "__cause__", None), StopWorkflow)


class ModelCall(Call):
    """One call of a model."""

    __slots__ = ("_run", "provider")

    def __init__(self, recorder: Recorder, step: OpenStep) -> None:
        super().__init__(recorder, step)
        self._run: Run | None = None
        self.provider: str | None = None

    @classmethod
    def begin(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        model, around = args[0], current_step()
        model_id = getattr(model, "model_id", None)
        name = str(model_id or type(model).__name__)[:80]
        if around is not None and around.source == SOURCE and around.kind is Kind.LLM and around.name == name:
            return None  # a class that calls the one that it is derived from
        run = run_around(around)
        if run is not None and run.stop is not None:
            raise run.stop
        known = {**(getattr(model, "kwargs", None) or {}), **kwargs}
        settings = {key: known[key] for key in REQUEST if isinstance(known.get(key), str | int | float)}
        found = payloads.provider(model)
        call = cls.start(
            Kind.LLM,
            name,
            source=SOURCE,
            input=payloads.messages(args[1] if len(args) > 1 else kwargs.get("messages")),
            model=str(model_id) if model_id else None,
            provider=found,
            attributes={"request": runtime.current_recorder().snapshot(settings)} if settings else None,
        )
        if call is not None:
            call._run, call.provider = run, found
        return call

    def finish(self, result: Any) -> Any:
        raw = getattr(result, "raw", None)
        choices = getattr(raw, "choices", None)
        reason = getattr(choices[0], "finish_reason", None) if isinstance(choices, list) and choices else None
        response_id, model = getattr(raw, "id", None), getattr(raw, "model", None)
        self.answered(
            result.content,
            payloads.tool_calls(result.tool_calls),
            usage=payloads.counted(result, self.provider),
            model=model if isinstance(model, str) else None,
            response_id=response_id if isinstance(response_id, str) else None,
            attributes={"finish_reason": reason} if isinstance(reason, str) else None,
        )
        return result

    def answered(self, content: Any, calls: list[dict[str, Any]], **known: Any) -> None:
        if self._run is not None:
            self._run.answered(self.step, calls)
        output = {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {})}
        self.end(output=self.recorder.snapshot(output) if content or calls else None, **known)


class StreamedCall(ModelCall):
    """One call of a model whose answer comes in pieces."""

    __slots__ = ("_calls", "_chars", "_counts", "_texts")

    complete = False

    def __init__(self, recorder: Recorder, step: OpenStep) -> None:
        super().__init__(recorder, step)
        self._texts: list[str] = []
        self._chars = 0
        self._calls: dict[Any, dict[str, Any]] = {}
        self._counts = [0, 0]

    def take(self, delta: Any) -> bool:
        text, calls, usage = delta.content, delta.tool_calls or (), delta.token_usage
        if text and self._chars < MAX_CHARS:
            self._texts.append(text)
            self._chars += len(text)
        if usage:  # smolagents adds them up too: a local model counts each piece
            self._counts = [self._counts[0] + usage.input_tokens, self._counts[1] + usage.output_tokens]
        for piece in calls:
            known = self._calls.setdefault(piece.index, {"id": None, "name": "", "args": ""})
            known["id"] = piece.id or known["id"]
            function = piece.function
            known["name"] += getattr(function, "name", None) or ""
            given = getattr(function, "arguments", None) or ""
            if isinstance(given, str) and len(known["args"]) < MAX_CHARS:
                known["args"] += given
        return bool(text or calls)

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        calls = [{**call, "args": payloads.arguments(call["args"])} for call in self._calls.values()]
        given, made = self._counts
        self.answered(
            "".join(self._texts),
            calls,
            status=status,
            error=error,
            usage=Usage(input_tokens=given, output_tokens=made) if given or made else None,
            time_ns=time_ns,
        )


class ToolCall(Call):
    """One call of a tool: by the model, or by its code."""

    __slots__ = ()

    @classmethod
    def begin(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolCall | None:
        """`Tool.__call__`; what `called_tool` recorded already is the same call."""
        tool, around = args[0], current_step()
        name = str(getattr(tool, "name", None) or type(tool).__name__)
        if around is not None and around.source == SOURCE and around.kind is Kind.TOOL and around.name == name:
            return None
        given = {key: value for key, value in kwargs.items() if key != "sanitize_inputs_outputs"}
        listed = list(args[1:])
        return cls.open(name, {**given, "args": listed} if given and listed else given or listed, {})

    @classmethod
    def open(cls, name: str, given: Any, attributes: dict[str, Any]) -> ToolCall | None:
        if name == "final_answer":
            attributes = {**attributes, "hidden": True}
        try:
            return cls.start(Kind.TOOL, name[:80], source=SOURCE, input=given, attributes=attributes or None)
        except StopWorkflow as stop:
            run = run_around(current_step())
            if run is not None:
                run.stop = stop
            raise

    def finish(self, result: Any) -> Any:
        self.end(output=self.recorder.snapshot(result))
        return result

    def fail(self, error: BaseException) -> None:
        cause = error.__cause__  # smolagents tells the model what to do about it; the tool's own error is below that
        if type(error).__name__.startswith("AgentTool") and isinstance(cause, Exception):
            error = cause
        self.end(status=status_of(error), error=error)


def called_tool(args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolCall | None:
    """`ToolCallingAgent.execute_tool_call`: tools that do not exist, wrong arguments and agents included."""
    name = str(args[1] if len(args) > 1 else kwargs.get("tool_name"))
    given = args[2] if len(args) > 2 else kwargs.get("arguments")
    run = run_around(current_step())
    return ToolCall.open(name, given, run.called(name, given) if run is not None else {})


class CodeCall(Call):
    """One piece of code that a model wrote, while it runs."""

    __slots__ = ()

    @classmethod
    def begin(cls, args: tuple[Any, ...], kwargs: dict[str, Any]) -> CodeCall | None:
        run = run_around(current_step())
        return cls.start(
            Kind.TOOL,
            "python_interpreter",
            source=SOURCE,
            input=args[1] if len(args) > 1 else kwargs.get("code_action"),
            attributes={"called_by": run.last_call} if run is not None and run.last_call else None,
        )

    def finish(self, result: Any) -> Any:
        said = {"output": getattr(result, "output", None), "logs": getattr(result, "logs", None) or None}
        self.end(
            output=self.recorder.snapshot({key: value for key, value in said.items() if value is not None} or None)
        )
        return result

    def fail(self, error: BaseException) -> None:
        self.end(status=Status.CANCELLED if _stopped(error) else status_of(error), error=error)
