"""What CrewAI's ending events say: status, output, usage and error of a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from treerings import Recorder, Status, Usage

from .custom_llms import is_recorded
from .scopes import Key
from .starts import agent_key, tool_key
from .text import reported, short
from .usage import usage_of

__all__ = ["ENDS", "End"]


@dataclass(slots=True)
class End:
    """An end, as plain data."""

    key: Key | None
    status: Status = Status.OK
    output: Any = None
    error: BaseException | None = None
    usage: Usage | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, Any, str | None]] = field(default_factory=list)
    """The tools that a model call asked for: name, arguments, id."""
    args: Any = None
    name: str | None = None
    begins: bool = False
    """Whether it ends what may be the outermost thing of an execution."""
    silent_model: str | None = None
    """The class of an agent's model that tells CrewAI nothing of its calls."""


def _crew(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(("crew", id(source)), name=short(event.crew_name) or "crew", begins=True)
    if event.type == "crew_kickoff_failed":
        return _failed(end, event.error)
    end.output = _result(recorder, event.output)  # `total_tokens` counts agents that share a model several times
    return end


def _result(recorder: Recorder, output: Any) -> Any:
    """The text of a task's or crew's result, or its structure where one was asked for."""
    for name in ("json_dict", "pydantic", "raw"):
        value = getattr(output, name, None)
        if value is not None:
            return recorder.snapshot(value)
    return recorder.snapshot(output)


def _failed(end: End, error: Any, error_type: type[BaseException] | None = None) -> End:
    end.status = Status.ERROR
    end.error = reported(error, error_type)
    return end


def _training(recorder: Recorder, source: Any, event: Any) -> End:
    name, _, outcome = event.type.rpartition("_")
    end = End((f"{name}", id(source)), name=name, begins=True)
    return _failed(end, event.error) if outcome == "failed" else end


def _flow(recorder: Recorder, source: Any, event: Any) -> End:
    own = type(source).__module__.startswith("crewai.")
    end = End(("flow", id(source)), name=short(event.flow_name) or "flow", begins=not own)
    if event.type == "flow_failed":
        return _failed(end, event.error)
    if event.type == "flow_paused":
        end.status = Status.INTERRUPTED
        return end
    end.output = recorder.snapshot(event.result)
    return end


def _method(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(("method", id(source), event.method_name))
    if event.type == "method_execution_failed":
        return _failed(end, event.error)
    if event.type == "method_execution_paused":
        end.status = Status.INTERRUPTED
        return end
    if not type(source).__module__.startswith("crewai."):
        end.output = recorder.snapshot(event.result)
    return end


def _task(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(("task", str(event.task_id)))
    if event.type == "task_failed":
        return _failed(end, event.error, getattr(event, "error_type", None))
    end.output = _result(recorder, event.output)
    return end


def _agent(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(agent_key(event.agent.id, getattr(event.task, "id", None)))
    end.silent_model = _silent(getattr(event.agent, "llm", None))
    if event.type == "agent_execution_error":
        return _failed(end, event.error)
    end.output = recorder.snapshot(event.output)
    return end


def _silent(model: Any) -> str | None:
    """The class of a model that is a user's own and is not recorded; CrewAI's classes tell of their calls."""
    cls = type(model)
    if model is None or cls.__module__.startswith("crewai.") or is_recorded(cls):
        return None
    return cls.__qualname__


def _lite_agent(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(agent_key(event.agent_info.get("id"), None), name=short(event.agent_info.get("role")), begins=True)
    end.silent_model = _silent(getattr(source, "llm", None))
    if event.type == "lite_agent_execution_error":
        return _failed(end, event.error)
    end.output = recorder.snapshot(event.output)
    return end


def _evaluation(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(("evaluation", event.agent_id, event.task_id, event.iteration))
    if event.type == "agent_evaluation_failed":
        return _failed(end, event.error)
    end.output = recorder.snapshot({"metric": event.metric_category, "score": event.score})
    return end


def _llm(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(("llm", event.call_id))
    if event.type == "llm_call_failed":
        return _failed(end, event.error)
    end.output = recorder.snapshot(event.response)
    end.usage = usage_of(getattr(event, "usage", None))  # these three came with later versions of CrewAI
    for fact in ("finish_reason", "response_id"):
        said = getattr(event, fact, None)
        if said:
            end.attributes[fact] = said
    end.asked = _asked(event.response)
    return end


def _asked(response: Any) -> list[tuple[str, Any, str | None]]:
    found: list[tuple[str, Any, str | None]] = []
    for call in response if isinstance(response, list) else ():
        if not isinstance(call, Mapping):
            continue
        function = call.get("function")
        named = function if isinstance(function, Mapping) else call
        name = named.get("name")
        if isinstance(name, str):
            id = call.get("id") or call.get("toolUseId")
            arguments = next((named[key] for key in ("arguments", "input", "args") if key in named), None)
            found.append((name, arguments, id if isinstance(id, str) else None))
    return found[:200]


def _tool(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(tool_key(event), args=recorder.snapshot(event.tool_args))
    if event.type == "tool_usage_error":
        return _failed(end, event.error)
    end.output = recorder.snapshot(event.output)
    if event.from_cache:
        end.attributes["from_cache"] = True
    failure = getattr(event, "failure", None)  # a tool that came back and says that it failed
    if failure is not None:
        end.attributes["failure"] = str(getattr(failure.reason, "value", failure.reason))
        return _failed(end, failure.message)
    return end


def _mcp_tool(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(("mcp tool", event.server_name, event.tool_name))
    if event.type.endswith("_failed"):
        return _failed(end, event.error)
    end.output = recorder.snapshot(event.result)
    return end


def _mcp_connection(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(("mcp connection", event.server_name))
    return _failed(end, event.error) if event.type.endswith("_failed") else end


def _guardrail(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(("guardrail", id(source), event.task_id, event.retry_count))
    if not event.success:  # there is no event of failure
        _failed(end, event.error or "The guardrail did not pass.")
    end.output = recorder.snapshot(event.result)
    return end


def _reading(name: str, said: str | None) -> Callable[[Recorder, Any, Any], End]:
    def read(recorder: Recorder, source: Any, event: Any) -> End:
        end = End((name, id(source), event.task_id))
        if event.type.endswith("_failed"):
            return _failed(end, event.error)
        end.output = recorder.snapshot(getattr(event, said, None)) if said else None
        return end

    return read


def _reasoning(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(("reasoning", id(source), event.task_id, event.attempt))
    if event.type.endswith("_failed"):
        return _failed(end, event.error)
    end.output = recorder.snapshot(event.plan)
    return end


def _plan_step(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(("plan step", event.agent_id, event.task_id, event.step_number))
    if not event.success:
        return _failed(end, event.error or "The step did not succeed.")
    end.output = recorder.snapshot(event.result)
    return end


def _observation(recorder: Recorder, source: Any, event: Any) -> End:
    end = End(("observation", event.agent_id, event.task_id, event.step_number))
    if event.type.endswith("_failed"):
        return _failed(end, event.error)
    end.output = recorder.snapshot(event.key_information_learned)
    return end


def _human(recorder: Recorder, source: Any, event: Any) -> End:
    answer = event.feedback if event.type == "human_feedback_received" else event.response
    return End(("human", id(source), event.method_name), output=recorder.snapshot(answer))


def _delegation(recorder: Recorder, source: Any, event: Any) -> End:
    name = "a2a conversation" if "conversation" in event.type else "a2a delegation"
    end = End((name, event.endpoint))
    if event.error:
        return _failed(end, event.error)
    end.output = recorder.snapshot(event.final_result if "conversation" in event.type else event.result)
    return end


Reader = Callable[[Recorder, Any, Any], End]


def _outcomes(prefix: str, read: Reader, *outcomes: str) -> dict[str, Reader]:
    return {f"{prefix}_{outcome}": read for outcome in outcomes or ("completed", "failed")}


ENDS: dict[str, Reader] = {
    **_outcomes("crew_kickoff", _crew),
    **_outcomes("crew_train", _training),
    **_outcomes("crew_test", _training),
    **_outcomes("flow", _flow, "finished", "failed", "paused"),
    **_outcomes("method_execution", _method, "finished", "failed", "paused"),
    **_outcomes("task", _task),
    **_outcomes("agent_execution", _agent, "completed", "error"),
    **_outcomes("lite_agent_execution", _lite_agent, "completed", "error"),
    **_outcomes("agent_evaluation", _evaluation),
    **_outcomes("llm_call", _llm),
    **_outcomes("tool_usage", _tool, "finished", "error"),
    **_outcomes("mcp_tool_execution", _mcp_tool),
    **_outcomes("mcp_connection", _mcp_connection),
    **_outcomes("llm_guardrail", _guardrail, "completed"),
    **_outcomes("memory_retrieval", _reading("memory retrieval", "memory_content")),
    **_outcomes("memory_query", _reading("memory query", "results")),
    **_outcomes("memory_save", _reading("memory save", None)),
    **_outcomes("knowledge_search_query", _reading("knowledge search", "retrieved_knowledge")),
    **_outcomes("knowledge_query", _reading("knowledge query", None)),
    **_outcomes("agent_reasoning", _reasoning),
    **_outcomes("plan_step", _plan_step, "completed"),
    **_outcomes("step_observation", _observation),
    "flow_input_received": _human,
    "human_feedback_received": _human,
    **_outcomes("a2a_delegation", _delegation, "completed"),
    **_outcomes("a2a_conversation", _delegation, "completed"),
}
