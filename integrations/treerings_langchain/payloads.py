"""LangChain's objects as plain data: messages, documents, commands, results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.prompt_values import PromptValue
from treerings.snapshot import Budget, snapshot

from .runs import Run

__all__ = ["answer", "document", "is_message", "message", "messages", "plain", "plain_or", "state"]

ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "HumanMessageChunk": "user"}

Serialize = Callable[[Any], Any]

_BASES = (
    (AIMessage, "answer"),
    (ToolMessage, "tool"),
    (BaseMessage, "message"),
    (Document, "document"),
    (PromptValue, "prompt"),
)
_MESSAGES = frozenset({"answer", "tool", "message"})
_known: dict[type, str] = {}


def _what(kind: type) -> str:
    """What objects of this class are to us; remembered, since pydantic's `isinstance` takes microseconds."""
    what = _known.get(kind)
    if what is None:
        what = next((name for base, name in _BASES if issubclass(kind, base)), "")
        if not what and kind.__module__.startswith("langgraph") and kind.__name__ in ("Command", "Send", "Interrupt"):
            what = kind.__name__
        if len(_known) > 10_000:  # a program that makes classes without end
            _known.clear()
        _known[kind] = what
    return what


def is_message(item: Any) -> bool:
    """Whether this is a LangChain message of whatever class."""
    return _what(type(item)) in _MESSAGES


def message(item: BaseMessage) -> dict[str, Any]:
    """Role, content, and what else a message has of name, tool calls, tool-call id and error status."""
    kind = item.type
    taken: dict[str, Any] = {"role": ROLES.get(kind, kind), "content": item.content}
    if item.name:
        taken["name"] = item.name
    what = _what(type(item))
    if what == "answer":
        answer = cast(AIMessage, item)
        if answer.tool_calls:
            taken["tool_calls"] = [
                {"id": call["id"], "name": call["name"], "args": call["args"]} for call in answer.tool_calls
            ]
        if answer.invalid_tool_calls:
            taken["invalid_tool_calls"] = [
                {"id": call.get("id"), "name": call.get("name"), "args": call.get("args"), "error": call.get("error")}
                for call in answer.invalid_tool_calls
            ]
        if extra := answer.additional_kwargs:
            for name, key in (("reasoning", "reasoning_content"), ("refusal", "refusal")):
                if extra.get(key) is not None:
                    taken[name] = extra[key]
    elif what == "tool":
        result = cast(ToolMessage, item)
        taken["tool_call_id"] = result.tool_call_id
        if result.status == "error":
            taken["status"] = "error"
    return taken


def document(item: Document) -> dict[str, Any]:
    taken: dict[str, Any] = {"content": item.page_content, "metadata": item.metadata}
    if item.id is not None:
        taken["id"] = item.id
    return taken


def plain(value: Any) -> Any | None:
    """The plain form of an object of LangChain or LangGraph; None for other objects."""
    what = _what(type(value))
    if not what:
        return None
    if what in _MESSAGES:
        return message(value)
    if what == "document":
        return document(value)
    if what == "prompt":
        return [message(item) for item in value.to_messages()]
    if what == "Command":
        fields = {name: getattr(value, name, None) for name in ("update", "resume", "goto", "graph")}
        return {"command": {name: item for name, item in fields.items() if item is not None and item != ()}}
    if what == "Send":
        return {"send": {"node": value.node, "arg": value.arg}}
    return {"interrupt": value.value}


def plain_or(ask: Serialize) -> Serialize:
    """`plain`, and `ask` for the objects that it does not know."""

    def serialize(value: Any) -> Any:
        taken = plain(value)
        return ask(value) if taken is None else taken

    return serialize


def messages(items: list[BaseMessage], serialize: Serialize) -> list[Any]:
    """A model call's messages, within one budget."""
    budget = Budget()
    return [_bounded(message(item) if is_message(item) else item, budget, serialize) for item in items]


def _bounded(value: Any, budget: Budget, serialize: Serialize) -> Any:
    """A message's snapshot; the usual one, a role and a text, is one already."""
    if type(value) is dict and len(value) == 2 and type(text := value["content"]) is str and len(text) < 65_536:
        budget.items -= 1
        budget.chars -= len(text)
        if budget.chars > 0 and budget.items > 0:
            return value
    return snapshot(value, budget=budget, serialize=serialize)


def state(value: Any, run: Run, serialize: Serialize) -> Any:
    """A chain's or graph's input or output. Of a long list of messages, those that an earlier payload of the same workflow
    holds are left out, all but the last: a graph passes its whole state through every node.
    """
    if type(value) is not dict:
        return snapshot(value, serialize=serialize)
    items = value.get("messages")
    if type(items) is not list or len(items) < 2 or not is_message(items[-1]):
        if type(items) is list and items and is_message(items[-1]):
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
            item: Any = getattr(generation, "message", None)
            value = message(item) if is_message(item) else generation.text
            answers.append(_bounded(value, budget, serialize))
    if len(answers) < 2:
        return answers[0] if answers else None  # a refused request comes with an empty answer
    return answers
