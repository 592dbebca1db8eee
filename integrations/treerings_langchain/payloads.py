"""LangChain's objects as plain data: messages, documents, commands, results."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, cast

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.prompt_values import PromptValue
from treerings.snapshot import Budget, snapshot

from .runs import Run

__all__ = [
    "answer",
    "document",
    "is_command",
    "is_failed_tool",
    "is_handoff",
    "is_message",
    "message",
    "messages",
    "plain",
    "plain_or",
    "state",
]

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


def is_failed_tool(item: Any) -> bool:
    """Whether this is the message in which a tool tells the model about its failure."""
    return _what(type(item)) == "tool" and item.status == "error"


def is_command(item: Any) -> bool:
    """Whether this is LangGraph's `Command`."""
    return _what(type(item)) == "Command"


def is_handoff(item: Any) -> bool:
    """Whether this is a command to the graph around: a tool that hands over to another agent returns it."""
    return is_command(item) and item.graph == "__parent__"


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


def messages(items: list[BaseMessage], around: Run | None, serialize: Serialize) -> list[Any]:
    """A model call's messages, within one budget that the latest ones get first.

    Of a long prompt those messages that an earlier long prompt of the same workflow held are marked `repeated`: the token
    count needs them, a store does not (see `plugin.leave_out_repeated`). The last one never is.
    """
    budget = Budget()
    known = _set_of(around.root, "prompted") if around is not None and _is_long(items) else None
    taken: list[Any] = []
    for place in range(len(items) - 1, -1, -1):
        if budget.items <= 0 or budget.chars <= 0:
            taken.append(EARLIER.format(place + 1, "messages"))
            break
        item: Any = items[place]
        if not is_message(item):
            taken.append(snapshot(item, budget=budget, serialize=serialize))
            continue
        one = _bounded(message(item), budget, serialize)
        if known is not None:
            key = _key(item)
            if key in known and taken and type(one) is dict:
                one["repeated"] = True
            elif key is not None:
                known.add(key)
        taken.append(one)
    taken.reverse()
    return taken


def _is_long(items: list[BaseMessage]) -> bool:
    """Whether a prompt is so long that what it repeats is not worth keeping again: 16,384 characters."""
    if len(items) < 2:
        return False
    size = 0
    for item in items:
        content = getattr(item, "content", "")
        size += len(content) if type(content) is str else 1_000
    return size > LONG_PROMPT


def _bounded(value: Any, budget: Budget, serialize: Serialize) -> Any:
    """A message's snapshot; the usual one, a role and a text, is one already."""
    if type(value) is dict and len(value) == 2 and type(text := value.get("content")) is str and len(text) < 65_536:
        budget.items -= 1
        budget.chars -= len(text)
        if budget.chars > 0 and budget.items > 0:
            return value
    return snapshot(value, budget=budget, serialize=serialize)


def state(value: Any, run: Run, serialize: Serialize) -> Any:
    """A chain's, graph's or tool's input or output, without what earlier payloads of the same workflow hold.

    A graph passes its whole state through every node. Of each list of messages in it those that were shown before are left
    out, all but the last; of each other list of more than 20 the items at its beginning.
    """
    kind = type(value)
    if kind is str:
        return value if len(value) < 65_536 and not value.startswith("data:") else snapshot(value)
    if kind in _SCALARS:
        return value
    if (taken := _usual(value, run)) is not None:
        return taken
    try:
        value = _lean(value, _set_of(run.root, "seen"), 8)
    except Exception:  # hostile objects: `snapshot` knows how to take them
        pass
    return snapshot(value, serialize=serialize)


def answer(response: Any, run: Run, serialize: Serialize) -> Any:
    """What a model answered: one message or text, or a list of them where several were asked for; None for nothing."""
    answers: list[Any] = []
    item: Any
    known = run.root.prompted
    try:
        if known is None and len(response.generations) == 1 and len(response.generations[0]) == 1:
            item = getattr(response.generations[0][0], "message", None)
            if type(item) is AIMessage and type(item.content) is str and len(item.content) < 65_536:
                plain_text = not (item.tool_calls or item.name or item.invalid_tool_calls or item.additional_kwargs)
                if plain_text:
                    return {"role": "assistant", "content": item.content}  # the usual answer
        budget = Budget()
        for generations in response.generations:
            for generation in generations:
                item = getattr(generation, "message", None)
                if is_message(item):
                    answers.append(_bounded(message(item), budget, serialize))
                    if known is not None and (key := _key(item)) is not None:
                        known.add(key)
                else:
                    answers.append(snapshot(generation.text, budget=budget))
    except Exception:  # an object that only looks like a result
        pass
    if len(answers) < 2:
        return answers[0] if answers else None  # a refused request comes with an empty answer
    return answers


def _usual(value: Any, run: Run) -> Any:
    """What most chains pass on: a dict of short values, and outside of graphs a message or a few; None for all else."""
    kind = type(value)
    if kind is dict:
        if len(value) > _LONG:
            return None
        for key, item in value.items():
            what = type(item)
            if type(key) is not str or not (
                (len(item) <= 512) if what is str else (-(2**63) <= item < 2**63) if what is int else what in _SHORT
            ):
                return None
        return dict(value)
    if run.checkpoint_ns is not None or run.root.is_graph or run.root.seen is not None:
        return None
    if _what(kind) in _MESSAGES:
        return _bounded(message(value), Budget(), plain)
    if kind is not list or not 0 < len(value) <= _LONG:
        return None
    for item in value:
        if _what(type(item)) not in _MESSAGES:
            return None
    budget = Budget()
    return [_bounded(message(item), budget, plain) for item in value]


LONG_PROMPT = 16_384
EARLIER = "… {} earlier {}"
_SCALARS = frozenset({str, int, float, bool, type(None)})
_SHORT = frozenset({float, bool, type(None)})
_LONG = 20


def _lean(value: Any, seen: set[int], depth: int) -> Any:
    """`value` with what is in `seen` left out of its lists; containers are new ones where something was left out."""
    kind = type(value)
    if kind in _SCALARS or depth == 0:
        return value
    if kind is dict:
        if len(value) > 200:
            return value
        return {key: item if type(item) in _SCALARS else _lean(item, seen, depth - 1) for key, item in value.items()}
    if kind is list or kind is tuple:
        if not value:
            return value
        if is_message(value[-1]):
            return _unseen_messages(value, seen)
        if len(value) > _LONG:
            return _unseen_items(value, seen)
        return [item if type(item) in _SCALARS else _lean(item, seen, depth - 1) for item in value]
    what = _what(kind)
    if what in _MESSAGES:
        if (key := _key(value)) is not None:
            seen.add(key)
    elif what == "prompt":
        return _unseen_messages(value.to_messages(), seen)
    elif what in ("Command", "Send"):
        return _lean(plain(value), seen, depth)
    elif not what and (fields := _fields(value)) is not None:
        return _lean(fields, seen, depth)
    return value


def _fields(value: Any) -> dict[str, Any] | None:
    """The fields of a state that is a dataclass or a pydantic model and holds a list; None for other objects."""
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(kind) if field.repr}
    elif isinstance(names := getattr(kind, "model_fields", None), dict):
        held = value.__dict__
        fields = {name: held[name] for name, field in names.items() if name in held and getattr(field, "repr", True)}
    else:
        return None
    return fields if any(type(item) is list for item in fields.values()) else None


def _unseen_messages(items: Sequence[Any], seen: set[int]) -> list[Any]:
    shown: list[Any] = []
    fresh: list[int] = []
    left_out = 0
    last = len(items) - 1
    for place, item in enumerate(items):
        key = _key(item) if is_message(item) else None
        if key is not None:
            if key in seen and place != last:
                left_out += 1
                continue
            fresh.append(key)
        if left_out:
            shown.append(EARLIER.format(left_out, "messages"))
            left_out = 0
        shown.append(item if key is None else message(item))
    seen.update(fresh)
    return shown


def _unseen_items(items: Sequence[Any], seen: set[int]) -> Sequence[Any]:
    """All items, or those after the known ones at the beginning, where these are many; numbers are never left out."""
    keys = [None if type(item) in (int, float, bool) else _digest(item, 4) for item in items]
    known = 0
    while known < len(items) - 1 and keys[known] is not None and keys[known] in seen:
        known += 1
    seen.update(key for key in keys[known:] if key is not None)
    return items if known < _LONG // 2 else [EARLIER.format(known, "items"), *items[known:]]


def _key(item: Any) -> int | None:
    """What tells a message from others; None where it holds more than plain data.

    Its id is no part of it: graphs give ids later, weak providers give one twice.
    """
    what = _what(type(item))
    content = _digest(item.content, 6)
    more = _digest(item.tool_calls if what == "answer" else item.tool_call_id if what == "tool" else None, 6)
    return None if content is None or more is None else hash((item.type, content, more))


def _digest(value: Any, depth: int) -> int | None:
    """A hash of plain data; None where it holds anything else. That of a string is computed once in its life."""
    kind = type(value)
    if kind in _SCALARS:
        return hash(value)
    if depth == 0:
        return None
    if kind is list or kind is tuple:
        parts = [_digest(item, depth - 1) for item in value]
        return None if None in parts else hash(tuple(parts))
    if kind is dict:
        pairs = [(key, _digest(item, depth - 1)) for key, item in value.items() if type(key) is str]
        return None if any(part is None for _, part in pairs) else hash(tuple(pairs))
    return _digest(value.page_content, 1) if _what(kind) == "document" else None


def _set_of(root: Run, name: str) -> set[int]:
    """A workflow's memory of what its payloads hold; past 20,000 entries it begins anew, and things are shown again."""
    known: set[int] | None = getattr(root, name)
    if known is None or len(known) > 20_000:
        known = set()
        setattr(root, name, known)
    return known
