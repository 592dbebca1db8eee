"""What CrewAI's starting events say: kind, name, key and payload of a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from treerings import Kind, Recorder

from .scopes import Key
from .text import kind_of_source, model_name, provider_of, short

__all__ = ["STARTS", "Start", "agent_key", "start_of"]

PARAMETERS = (
    "temperature",
    "top_p",
    "max_tokens",
    "stream",
    "seed",
    "stop_sequences",
    "frequency_penalty",
    "presence_penalty",
    "n",
)
HANDOFF_TOOLS = frozenset({"delegate_work_to_coworker", "ask_question_to_coworker"})


@dataclass(slots=True)
class Start:
    """A start, as plain data."""

    kind: Kind
    name: str
    key: Key | None
    input: Any = None
    model: str | None = None
    provider: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    begins: bool = False
    """Whether it may be the outermost thing of an execution."""
    collapsed: bool = False
    """Whether it is CrewAI's own plumbing: what is inside moves up."""
    agent: Key | None = None
    """The agent and task that it belongs to."""
    task_id: str | None = None
    tasks: tuple[str, ...] = ()
    """The ids of a crew's tasks."""
    args: Any = None


def agent_key(agent_id: Any, task_id: Any) -> Key | None:
    """An agent at work on a task; on none when it was asked directly."""
    return None if agent_id is None else ("agent", str(agent_id), None if task_id is None else str(task_id))


def start_of(recorder: Recorder, source: Any, event: Any) -> Start:
    """What a starting event says; one of a class that is not known opens a scope all the same."""
    read = STARTS.get(event.type)
    said = read(recorder, source, event) if read is not None else Start(Kind.NODE, event.type, None, collapsed=True)
    if said.agent is None:
        said.agent = agent_key(event.agent_id, event.task_id)
    if said.task_id is None and event.task_id is not None:
        said.task_id = str(event.task_id)
    return said


def _crew(recorder: Recorder, source: Any, event: Any) -> Start:
    return Start(
        Kind.WORKFLOW,
        short(event.crew_name) or "crew",
        ("crew", id(source)),
        recorder.snapshot(event.inputs) if event.inputs else None,
        attributes={"process": kind_of_source(source, "process")} if hasattr(source, "process") else {},
        begins=True,
        tasks=tuple(str(task.id) for task in getattr(source, "tasks", None) or ()),
    )


def _training(recorder: Recorder, source: Any, event: Any) -> Start:
    name = event.type.removesuffix("_started")
    return Start(Kind.WORKFLOW, name, (name, id(source)), recorder.snapshot(event.inputs), begins=True)


def _flow(recorder: Recorder, source: Any, event: Any) -> Start:
    # CrewAI runs its own executors and memory as flows: nobody wrote those
    own = type(source).__module__.startswith("crewai.")
    flow_id = None if own else getattr(source, "flow_id", None)
    return Start(
        Kind.WORKFLOW,
        short(event.flow_name) or "flow",
        ("flow", id(source)),
        None if own else recorder.snapshot(event.inputs),
        attributes={"flow_id": str(flow_id)} if flow_id else {},
        begins=not own,
        collapsed=own,
    )


def _method(recorder: Recorder, source: Any, event: Any) -> Start:
    own = type(source).__module__.startswith("crewai.")
    return Start(
        Kind.NODE,
        short(event.method_name) or "method",
        ("method", id(source), event.method_name),
        None if own else recorder.snapshot(event.params),
        collapsed=own,
    )


def _task(recorder: Recorder, source: Any, event: Any) -> Start:
    task = event.task if event.task is not None else source
    given = {
        "description": getattr(task, "description", None),
        "expected_output": getattr(task, "expected_output", None),
        "context": event.context or None,
    }
    return Start(
        Kind.TASK,
        short(getattr(task, "name", None) or given["description"] or event.task_name) or "task",
        ("task", str(event.task_id)),
        recorder.snapshot({key: value for key, value in given.items() if value}),
        attributes={"async": True} if getattr(task, "async_execution", False) else {},
    )


def _agent(recorder: Recorder, source: Any, event: Any) -> Start:
    task_id = getattr(event.task, "id", None)
    key = agent_key(event.agent.id, task_id)
    return Start(
        Kind.AGENT,
        short(event.agent.role) or "agent",
        key,
        recorder.snapshot(event.task_prompt),
        agent=key,
        task_id=None if task_id is None else str(task_id),
    )


def _lite_agent(recorder: Recorder, source: Any, event: Any) -> Start:
    key = agent_key(event.agent_info.get("id"), None)
    name = short(event.agent_info.get("role")) or "agent"
    return Start(Kind.AGENT, name, key, recorder.snapshot(event.messages), begins=True, agent=key)


def _llm(recorder: Recorder, source: Any, event: Any) -> Start:
    request: dict[str, Any] = {
        name: recorder.snapshot(value) for name in PARAMETERS if (value := getattr(event, name, None)) is not None
    }
    if isinstance(event.tools, list) and event.tools:
        request["tools"] = [_offered(tool) for tool in event.tools[:100]]
    model = model_name(event.model)
    return Start(
        Kind.LLM,
        short(model) or "model",
        ("llm", event.call_id),
        recorder.snapshot(event.messages),
        model,
        provider_of(source, event.model),
        {"request": request} if request else {},
    )


def _offered(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    named = function if isinstance(function, Mapping) else tool if isinstance(tool, Mapping) else {}
    return str(named.get("name") or named.get("type") or "?")


def _tool(recorder: Recorder, source: Any, event: Any) -> Start:
    args = recorder.snapshot(event.tool_args)
    kind = Kind.HANDOFF if event.tool_name in HANDOFF_TOOLS else Kind.TOOL
    attributes: dict[str, Any] = {}
    if kind is Kind.HANDOFF and isinstance(args, dict) and args.get("coworker"):
        attributes["handoff_to"] = args["coworker"]
    if event.run_attempts and event.run_attempts > 1:
        attributes["attempt"] = event.run_attempts
    return Start(kind, short(event.tool_name) or "tool", tool_key(event), args, attributes=attributes, args=args)


def tool_key(event: Any) -> Key:
    """A tool that an agent uses, without its arguments: CrewAI repairs those on the way.

    Where the model asks in words, the start does not have the agent's id, only its key.
    """
    return ("tool", event.agent_key or event.agent_id, event.task_id, event.tool_name)


def _mcp_tool(recorder: Recorder, source: Any, event: Any) -> Start:
    return Start(
        Kind.TOOL,
        short(event.tool_name) or "tool",
        ("mcp tool", event.server_name, event.tool_name),
        recorder.snapshot(event.tool_args),
        attributes={"server": event.server_name},
    )


def _mcp_connection(recorder: Recorder, source: Any, event: Any) -> Start:
    return Start(Kind.NODE, f"connect {short(event.server_name)}", ("mcp connection", event.server_name))


def _guardrail(recorder: Recorder, source: Any, event: Any) -> Start:
    name = getattr(event, "guardrail_name", None)
    attributes = {"attempt": event.retry_count + 1} if event.retry_count else {}
    return Start(
        Kind.GUARDRAIL,
        short(name) or "guardrail",
        ("guardrail", id(source), event.task_id, event.retry_count),
        recorder.snapshot(event.guardrail if isinstance(event.guardrail, str) else None),
        attributes=attributes,
    )


def _reading(name: str, kind: Kind, said: str | None) -> Callable[[Recorder, Any, Any], Start]:
    def read(recorder: Recorder, source: Any, event: Any) -> Start:
        text = getattr(event, said, None) if said else None
        return Start(kind, name, (name, id(source), event.task_id), recorder.snapshot(text))

    return read


def _reasoning(recorder: Recorder, source: Any, event: Any) -> Start:
    attributes = {"attempt": event.attempt} if event.attempt > 1 else {}
    return Start(Kind.NODE, "planning", ("reasoning", id(source), event.task_id, event.attempt), attributes=attributes)


def _plan_step(recorder: Recorder, source: Any, event: Any) -> Start:
    return Start(
        Kind.NODE,
        f"plan step {event.step_number}",
        ("plan step", event.agent_id, event.task_id, event.step_number),
        recorder.snapshot(event.step_description),
    )


def _observation(recorder: Recorder, source: Any, event: Any) -> Start:
    return Start(
        Kind.NODE,
        f"observe step {event.step_number}",
        ("observation", event.agent_id, event.task_id, event.step_number),
        recorder.snapshot(event.step_description),
    )


def _human(recorder: Recorder, source: Any, event: Any) -> Start:
    name = f"{event.method_name} {'feedback' if 'feedback' in event.type else 'input'}"
    asked = {"message": event.message, "output": getattr(event, "output", None)}
    return Start(
        Kind.HUMAN,
        short(name),
        ("human", id(source), event.method_name),
        recorder.snapshot({key: value for key, value in asked.items() if value is not None}),
    )


def _delegation(recorder: Recorder, source: Any, event: Any) -> Start:
    name = short(event.a2a_agent_name or event.endpoint) or "remote agent"
    described = getattr(event, "task_description", None)
    if event.type == "a2a_conversation_started":
        return Start(Kind.AGENT, name, ("a2a conversation", event.endpoint), None)
    return Start(
        Kind.HANDOFF,
        name,
        ("a2a delegation", event.endpoint),
        recorder.snapshot(described),
        attributes={"handoff_to": name},
    )


def _evaluation(recorder: Recorder, source: Any, event: Any) -> Start:
    return Start(Kind.NODE, "evaluation", ("evaluation", event.agent_id, event.task_id, event.iteration))


STARTS: dict[str, Callable[[Recorder, Any, Any], Start]] = {
    "crew_kickoff_started": _crew,
    "crew_train_started": _training,
    "crew_test_started": _training,
    "flow_started": _flow,
    "method_execution_started": _method,
    "task_started": _task,
    "agent_execution_started": _agent,
    "lite_agent_execution_started": _lite_agent,
    "agent_evaluation_started": _evaluation,
    "llm_call_started": _llm,
    "tool_usage_started": _tool,
    "mcp_tool_execution_started": _mcp_tool,
    "mcp_connection_started": _mcp_connection,
    "llm_guardrail_started": _guardrail,
    "memory_retrieval_started": _reading("memory retrieval", Kind.RETRIEVER, None),
    "memory_query_started": _reading("memory query", Kind.RETRIEVER, "query"),
    "memory_save_started": _reading("memory save", Kind.MEMORY, "value"),
    "knowledge_search_query_started": _reading("knowledge search", Kind.RETRIEVER, None),
    "knowledge_query_started": _reading("knowledge query", Kind.RETRIEVER, "task_prompt"),
    "agent_reasoning_started": _reasoning,
    "plan_step_started": _plan_step,
    "step_observation_started": _observation,
    "flow_input_requested": _human,
    "human_feedback_requested": _human,
    "a2a_delegation_started": _delegation,
    "a2a_conversation_started": _delegation,
}
