"""Events out of the text of a stream: server-sent events, JSON lines, JSON arrays, AWS event-stream frames."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["parse"]

_PRELUDE = 12  # total length, headers length, checksum: https://smithy.io/2.0/aws/amazon-eventstream.html


def parse(text: str | bytes) -> Iterator[object]:
    """The events in `text`, in order. What cannot be read is skipped."""
    if isinstance(text, bytes):
        if text[:1] == b"\0":
            yield from _frames(text)
            return
        text = text.decode("utf-8", "replace")
    text = text.lstrip("\ufeff \t\r\n")
    if text.startswith(("data:", "event:", "id:", ":", "retry:")):
        yield from _server_sent(text)
    elif text.startswith(("{", "[")):
        whole = _json(text)
        if isinstance(whole, list):
            yield from whole
        elif whole is not None:
            yield whole
        else:
            yield from _lines(text)
    elif text:
        try:
            yield from _frames(base64.b64decode("".join(text.split()), validate=True))
        except (binascii.Error, ValueError):
            return


def _server_sent(text: str) -> Iterator[object]:
    """One JSON value a block; an event's `data:` lines belong together.

    Split at line feeds only: `splitlines` would also cut at U+2028 inside a JSON string.
    """
    data: list[str] = []
    for line in [*text.split("\n"), ""]:
        line = line.removesuffix("\r")
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line.strip() and data:
            joined = _json("\n".join(data))
            if joined is not None:
                yield joined
            else:  # servers that leave out the blank line between events
                yield from filter(None, map(_json, data))
            data = []


def _lines(text: str) -> Iterator[object]:
    for line in text.split("\n"):
        value = _json(line.strip().rstrip(","))
        if value is not None:
            yield value


def _frames(data: bytes) -> Iterator[object]:
    """The JSON payloads of AWS event-stream frames; a frame that does not add up ends the reading."""
    start = 0
    while start + _PRELUDE + 4 <= len(data):
        size = int.from_bytes(data[start : start + 4], "big")
        headers = int.from_bytes(data[start + 4 : start + 8], "big")
        if size < _PRELUDE + headers + 4 or start + size > len(data):
            return
        value = _json(data[start + _PRELUDE + headers : start + size - 4])
        if value is not None:
            yield value
        start += size


def _json(text: str | bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
