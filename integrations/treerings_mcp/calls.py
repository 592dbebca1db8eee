"""What a client asks of a server: a tool call, a resource, a prompt."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from treerings import Kind, Status
from treerings.wrapping import Begin, Call

__all__ = ["ServerCall", "ToolError", "begin", "remember_server"]

SOURCE = "mcp"
MAX_NAME = 80

_servers: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
"""The name that the server of a session gave itself."""


class ToolError(Exception):
    """A tool's failure that the server answered with, for the model to see."""


class ServerCall(Call):
    """A request to a server, until its answer."""

    __slots__ = ()

    def finish(self, result: Any) -> Any:
        output = self.recorder.snapshot(_content(result))
        if _of(result, "is_error", "isError") is True:
            self.end(status=Status.ERROR, error=ToolError(_text(output)), output=output)
        else:
            self.end(output=output)
        return result


def begin(method: str, named: str) -> Begin:
    """For a method of `ClientSession` whose first argument, `named`, says what is asked for."""

    def start(args: tuple[Any, ...], kwargs: dict[str, Any]) -> ServerCall | None:
        name = str(kwargs[named] if named in kwargs else args[1])
        arguments = kwargs.get("arguments", args[2] if len(args) > 2 and named == "name" else None)
        attributes = {"mcp_method": method, "server": _server_of(args[0])}
        return ServerCall.start(
            Kind.TOOL,
            name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…",
            source=SOURCE,
            input=arguments if arguments is not None else {named: name} if named != "name" else {},
            attributes={key: value for key, value in attributes.items() if value is not None},
        )

    return start


def _server_of(session: Any) -> str | None:
    known = _servers.get(session)
    name = getattr(getattr(session, "server_info", None), "name", None) if known is None else known
    return name if isinstance(name, str) else None


async def remember_server(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Runs instead of `ClientSession.initialize`: its answer is where a server says its name."""
    result = await function(*args, **kwargs)
    try:
        name = _of(_of(result, "server_info", "serverInfo"), "name", "name")
        if isinstance(name, str) and name:
            _servers[args[0]] = name
    except Exception:  # a session of the program's own making
        pass
    return result


def _content(result: Any) -> Any:
    """What a model sees of the answer: its texts as one, else all of its parts."""
    for name in ("content", "contents", "messages"):
        parts = getattr(result, name, None)
        if not isinstance(parts, list):
            continue
        texts = [text for part in parts if isinstance(text := getattr(part, "text", None), str)]
        if parts and len(texts) == len(parts):
            return "\n".join(texts)
        structured = _of(result, "structured_content", "structuredContent")
        return structured if not parts and structured is not None else parts
    return result


def _text(output: Any) -> str:
    if isinstance(output, str):
        return output
    parts = output if isinstance(output, list) else [output]
    return " ".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part) or "failed"


def _of(holder: Any, name: str, before: str) -> Any:
    """An attribute under its name, or under the one that it had before version 2."""
    found = getattr(holder, name, None)
    return getattr(holder, before, None) if found is None else found
