"""What a run's metadata, tags and parameters say: dimensions, attributes, the request; the rest may hold secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from treerings.request_parameters import REQUEST_PARAMETERS
from treerings.snapshot import snapshot

from .runs import Run

__all__ = ["NO_METADATA", "attributes_of", "labels_of", "request_of", "serialized_name", "thread_of"]

_PARAMETERS = frozenset(REQUEST_PARAMETERS)
KNOWN_METADATA = frozenset(
    {
        "langgraph_step",
        "langgraph_node",
        "langgraph_triggers",
        "langgraph_path",
        "langgraph_checkpoint_ns",
        "checkpoint_ns",
        "checkpoint_id",
        "lc_agent_name",
        "lc_versions",
        "ls_integration",
        "ls_model_name",
        "ls_model_type",
        "ls_provider",
        "tags",
        "task_id",
        "run_id",
        "thread_id",
        "session_id",
        "user_id",
        "tenant_id",
    }
)
POSITIONAL_TAGS = ("seq:step:", "map:key:", "graph:step:", "retry:attempt:", "langsmith:")
DIMENSIONS = frozenset({"session_id", "user_id", "tenant_id"})
NO_METADATA: Mapping[str, Any] = {}


def labels_of(
    metadata: Mapping[str, Any], parent: Run | None, thread_id: str | None, handlers: Mapping[str, str] | None
) -> Mapping[str, str] | None:
    """The dimensions that a run begins with: its metadata's, then the handler's, then its thread as the session.

    Below a run of ours they are inherited, and said again only where the metadata changes.
    """
    if parent is not None and not metadata:
        return None
    found = _dimensions(metadata) if metadata else {}
    if parent is not None:
        above = _metadata_of(parent)
        changed = {key: value for key, value in found.items() if metadata[key] is not above.get(key)}
        return changed or None
    if thread_id is None and not found:
        return handlers
    labels = {} if thread_id is None else {"session_id": thread_id}
    return {**labels, **(handlers or {}), **found}


def attributes_of(
    tags: Sequence[str] | None,
    metadata: Mapping[str, Any],
    parent_run_id: UUID | None,
    parent: Run | None,
) -> dict[str, Any]:
    """What tags, metadata and ids say about a run beside its kind."""
    attributes: dict[str, Any] = {}
    for tag in tags or ():
        if type(tag) is not str or not tag.startswith(POSITIONAL_TAGS):
            attributes.setdefault("tags", []).append(_text(tag))
        elif tag.startswith("retry:attempt:"):
            attempt = tag[14:]
            attributes["attempt"] = int(attempt) if attempt.isdigit() else attempt
    if metadata:
        if not KNOWN_METADATA.issuperset(metadata):
            above = NO_METADATA if parent is None else _metadata_of(parent)
            own_metadata = {
                key: value
                for key, value in metadata.items()
                if key not in KNOWN_METADATA
                and value is not above.get(key)
                and not (type(key) is str and key.startswith(("ls_", "__")))
            }
            if own_metadata:
                attributes["metadata"] = snapshot(own_metadata)
        if (step := metadata.get("langgraph_step")) is not None:
            attributes["langgraph_step"] = step
            attributes["langgraph_node"] = metadata.get("langgraph_node")
        if parent is None and (thread_id := metadata.get("thread_id")) is not None:
            attributes["thread_id"] = _text(thread_id)
    if parent_run_id is not None and parent is None:
        attributes["external_parent_id"] = parent_run_id.hex
    return attributes


def _dimensions(metadata: Mapping[str, Any]) -> dict[str, str]:
    if DIMENSIONS.isdisjoint(metadata):
        return {}
    given = {key: _text(value) for key in DIMENSIONS if (value := metadata.get(key)) is not None}
    return {key: text for key, text in given.items() if text}


def _metadata_of(run: Run) -> Mapping[str, Any]:
    return run.told if isinstance(run.told, dict) else NO_METADATA


def _text(value: Any) -> str:
    return value if type(value) is str else str(snapshot(value))


def serialized_name(serialized: Mapping[str, Any] | None) -> str | None:
    if not serialized:
        return None
    name = serialized.get("name")
    if name:
        return str(name)
    path = serialized.get("id")
    return str(path[-1]) if isinstance(path, list) and path else None


def thread_of(metadata: Mapping[str, Any], parent: Run | None) -> str | None:
    found = metadata.get("thread_id")
    if found is not None:
        return _text(found)
    return parent.thread_id if parent is not None else None


def request_of(parameters: Mapping[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {}
    for key in _PARAMETERS.intersection(parameters):
        value = parameters[key]
        if value is not None:
            request[key] = value if type(value) in (int, float, bool) else snapshot(value)
    tools = parameters.get("tools") or parameters.get("functions")
    if isinstance(tools, list) and tools:
        request["tools"] = [_tool_name(tool) for tool in tools[:100]]
    return request


def _tool_name(tool: Any) -> str:
    if not isinstance(tool, dict):
        return type(tool).__name__
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return str(name or tool.get("name") or tool.get("type") or "?")
