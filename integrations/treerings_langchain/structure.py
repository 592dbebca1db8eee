"""What a run is: kinds, agents and plumbing, told by structure and not by names that merely sound like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from treerings import Kind, Recorder

from .payloads import is_command
from .runs import Run

__all__ = ["child_of_graph", "classify", "is_plumbing", "local_tag", "node_ended"]

AGENT_INTEGRATIONS = frozenset({"langchain_create_agent", "deepagents"})
PLUMBING = frozenset({"call_model", "should_continue", "Prompt"})
UNNAMED = "LangGraph"


def local_tag(tags: Sequence[str] | None, prefix: str) -> str | None:
    """What follows `prefix` in the run's positional tag: `graph:step:`, `seq:step:`, `retry:attempt:`; None without one."""
    if tags:
        for tag in tags:
            if type(tag) is str and tag.startswith(prefix):
                return tag[len(prefix) :]
    return None


def classify(
    name: str, tags: Sequence[str] | None, metadata: Mapping[str, Any], parent: Run | None, *, is_root: bool
) -> tuple[Kind, str]:
    """Kind and name of a chain run, as far as its start tells; a graph shows what it is by its first node."""
    if not metadata:  # a chain outside of graphs and agents
        return (Kind.WORKFLOW if is_root else Kind.CHAIN), name
    if local_tag(tags, "graph:step:") is not None:
        return Kind.NODE, name
    own_name = metadata.get("lc_agent_name")
    if own_name and (parent is None or own_name != parent.agent_name or own_name == name):
        return Kind.AGENT, str(own_name)
    if is_root:
        if metadata.get("ls_integration") in AGENT_INTEGRATIONS and parent is None:
            return Kind.AGENT, agent_name(name)
        return Kind.WORKFLOW, name
    path = metadata.get("langgraph_path")
    if (
        isinstance(path, Sequence)
        and len(path) > 1
        and path[0] == "__pregel_push"
        and path[-1] is True
        and name == metadata.get("langgraph_node")
        and (parent is None or parent.checkpoint_ns != metadata.get("langgraph_checkpoint_ns"))
    ):
        return Kind.TASK, name
    return Kind.CHAIN, name


def agent_name(name: str) -> str:
    """The name of an agent that was not given one."""
    return "agent" if name == UNNAMED else name


def is_plumbing(kind: Kind, name: str, run_type: str | None, tags: Sequence[str] | None, parent: Run | None) -> bool:
    """Whether a run is machinery that a tree shows only on request: its children are shown in its place."""
    if local_tag(tags, "langsmith:hidden") is not None:
        return True
    if kind is Kind.NODE:
        return name.startswith("__")
    if kind is not Kind.CHAIN or parent is None:
        return False
    if run_type is not None and run_type in ("prompt", "parser"):
        return True
    in_graph = parent.is_node or (parent.hidden and parent.checkpoint_ns is not None)
    return in_graph and (name in PLUMBING or local_tag(tags, "seq:step:") is not None)


def child_of_graph(recorder: Recorder, run: Run, metadata: Mapping[str, Any]) -> None:
    """Learn from a node, or from the machinery in it, what the graph around it is."""
    graph = run.parent
    if graph is None:
        return
    if run.is_node:
        if graph.node_names is None:
            graph.node_names = set()
        graph.node_names.add(run.name)
        own = (
            graph.parent is None or graph.parent.integration != graph.integration
        )  # not inherited from an agent around
        agent = (own and run.name == "model" and graph.integration in AGENT_INTEGRATIONS) or graph.node_names >= {
            "agent",
            "tools",
        }
        _graph_found(recorder, graph, agent=agent)
    elif run.name == "call_model" and graph.is_node and graph.name == "agent" and graph.parent is not None:
        _graph_found(recorder, graph.parent, agent=True)


def node_ended(recorder: Recorder, run: Run, outputs: Any) -> None:
    """Learn from what a node gives: a nested agent without a name carries the marks of the agent around it, and so does a
    plain graph there with a node called `model`. Only the agent's gives commands.
    """
    graph = run.parent
    if (
        run.name == "model"
        and graph is not None
        and not graph.is_agent
        and graph.integration in AGENT_INTEGRATIONS
        and type(outputs) is list
        and outputs
        and all(is_command(item) for item in outputs)
    ):
        _graph_found(recorder, graph, agent=True)


def _graph_found(recorder: Recorder, graph: Run, *, agent: bool) -> None:
    if graph.is_node or graph.is_agent or (graph.is_graph and not agent):
        return
    graph.is_graph = True
    shown = {"hidden": False} if graph.hidden else None
    graph.hidden = False
    if agent:
        graph.is_agent = True
        if graph.step.kind is not Kind.AGENT:
            recorder.update(graph.step, kind=Kind.AGENT, name=agent_name(graph.step.name), attributes=shown)
            return
    elif graph.step.kind is Kind.CHAIN:
        recorder.update(graph.step, kind=Kind.WORKFLOW, attributes=shown)
        return
    if shown:
        recorder.update(graph.step, attributes=shown)
