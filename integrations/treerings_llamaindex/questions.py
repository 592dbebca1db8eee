"""What a call was asked, and whether it is one that is recorded already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import payloads
from .calls import chain
from .spans import Span

__all__ = ["asked", "identity", "repeats"]


def identity(role: str, instance: Any) -> str:
    """What makes two spans of one role the same: the tool's name, the object."""
    if role == "tool":
        try:
            return str(instance.metadata.get_name())
        except Exception:  # a tool without a name
            return type(instance).__name__
    return f"{id(instance):x}"


def repeats(span: Span, same: str) -> bool:
    """Whether the enclosing step is the same call: an asynchronous method that falls back to the synchronous one."""
    for item in chain(span.parent):
        if item.step is not None or item.role in ("run", "call"):
            if item.role == "call" and span.role == "tool":
                return item.key is not None and item.key[0] == same
            return item.key == (span.role, same) and item.ended_s is None and item.held is None
    return False


def asked(role: str, arguments: Mapping[str, Any]) -> Any:
    """The input of a call: its question, or its arguments."""
    given = {name: value for name, value in arguments.items() if name not in ("self", "instance", "ctx")}
    if role == "tool":
        keywords = given.pop("kwargs", {})
        positional = given.pop("args", ())
        named = {**given, **(keywords if isinstance(keywords, dict) else {})}
        return {"args": list(positional), **named} if positional else named
    if role == "pipeline":
        return None
    for name in ("str_or_query_bundle", "query", "message", "query_bundle", "query_str"):
        if given.get(name) is not None:
            if role == "reranker":
                return {"query": given[name], "nodes": payloads.nodes(given.get("nodes"))}
            return given[name]
    if role == "reranker":
        return {"nodes": payloads.nodes(given.get("nodes"))}
    return None
