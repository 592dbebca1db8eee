"""LangChain's objects as plain data: messages, documents, commands, results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.prompt_values import PromptValue
from treerings.snapshot import Budget, snapshot

from .runs import Run

__all__ = ["answer", "document", "message", "messages", "plain", "state"]

ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "HumanMessageChunk": "user"}

Serialize = Callable[[Any], Any]


def message(item: BaseMessage) -> dict[str, Any]:
    """Role, content, and what else a message has of name, tool calls, tool-call id and error status."""
    kind = item.type
    taken: dict[str, Any] = {"role": ROLES.get(kind, kind), "content": item.content}
    if item.name:
        taken["name"] = item.name
    if isinstance(item, AIMessage):
        if item.tool_calls:
            taken["tool_calls"] = [
                {"id": call["id"], "name": call["name"], "args": call["args"]} for call in item.tool_calls
            ]
        if item.invalid_tool_calls:
            taken["invalid_tool_calls"] = [
                {"id": call.get("id"), "name": call.get("name"), "args": call.get("args"), "error": call.get("error")}
                for call in item.invalid_tool_calls
            ]
        if (reasoning := item.additional_kwargs.get("reasoning_content")) is not None:
            taken["reasoning"] = reasoning
        if (refusal := item.additional_kwargs.get("refusal")) is not None:
            taken["refusal"] = refusal
    elif isinstance(item, ToolMessage):
        taken["tool_call_id"] = item.tool_call_id
        if item.status == "error":
            taken["status"] = "error"
    return taken


def document(item: Document) -> dict[str, Any]:
    taken: dict[str, Any] = {"content": item.page_content, "metadata": item.metadata}
    if item.id is not None:
        taken["id"] = item.id
    return taken


def plain(value: Any) -> Any | None:
    """The plain form of an object of LangChain or LangGraph; None for other objects."""
    if isinstance(value, BaseMessage):
        return message(value)
    if isinstance(value, Document):
        return document(value)
    if isinstance(value, PromptValue):
        return [message(item) for item in value.to_messages()]
    kind = type(value)
    if kind.__module__.startswith("langgraph"):
        if kind.__name__ == "Command":
            fields = {name: getattr(value, name, None) for name in ("update", "resume", "goto", "graph")}
            return {"command": {name: item for name, item in fields.items() if item not in (None, ())}}
        if kind.__name__ == "Send":
            return {"send": {"node": value.node, "arg": value.arg}}
        if kind.__name__ == "Interrupt":
            return {"interrupt": value.value}
    return None


def messages(items: list[BaseMessage], serialize: Serialize) -> list[Any]:
    """A model call's messages, within one budget."""
    budget = Budget()
    return [
        snapshot(message(item) if isinstance(item, BaseMessage) else item, budget=budget, serialize=serialize)
        for item in items
    ]


def state(value: Any, run: Run, serialize: Serialize) -> Any:
    """A chain's or graph's input or output. Of a long list of messages, those that an earlier payload of the same workflow
    holds are left out, all but the last: a graph passes its whole state through every node.
    """
    if type(value) is not dict:
        return snapshot(value, serialize=serialize)
    items = value.get("messages")
    if type(items) is not list or len(items) < 2 or not isinstance(items[-1], BaseMessage):
        if type(items) is list and items and isinstance(items[-1], BaseMessage):
            _remember(run, items)
        return snapshot(value, serialize=serialize)
    seen = run.root.seen_messages
    fresh = 1
    if seen is not None:
        for item in reversed(items[:-1]):
            if _key(item) in seen:
                break
            fresh += 1
    else:
        fresh = len(items)
    _remember(run, items[-fresh:])
    if fresh == len(items):
        return snapshot(value, serialize=serialize)
    shown = [f"… {len(items) - fresh} earlier messages", *items[-fresh:]]
    return snapshot({**value, "messages": shown}, serialize=serialize)


def _remember(run: Run, items: list[Any]) -> None:
    seen = run.root.seen_messages
    if seen is None:
        seen = run.root.seen_messages = set()
    if len(seen) < 20_000:
        seen.update(_key(item) for item in items)


def _key(item: Any) -> str | int:
    return getattr(item, "id", None) or id(item)


def answer(response: Any, serialize: Serialize) -> Any:
    """What a model answered: one message or text, or a list of them where several were asked for."""
    budget = Budget()
    answers = []
    for generations in response.generations:
        for generation in generations:
            item = getattr(generation, "message", None)
            value = message(item) if isinstance(item, BaseMessage) else generation.text
            answers.append(snapshot(value, budget=budget, serialize=serialize))
    return answers[0] if len(answers) == 1 else answers
