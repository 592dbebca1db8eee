"""A small HTTP/1.1 server on loopback: one thread, one event loop, keep-alive, whole and chunked answers."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

__all__ = ["HttpRequest", "HttpResponse", "HttpServer"]

MAX_HEADER_BYTES = 256 * 1024
MAX_BODY_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as it came in; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class HttpResponse:
    """One answer: `parts` joined with a `Content-Length`, or one by one with chunked encoding when `streamed`."""

    status: int
    content_type: str
    parts: Sequence[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    streamed: bool = False
    delay: float = 0.0
    """Seconds before the first byte."""
    part_delay: float = 0.0
    """Seconds before every part after the first, in a streamed answer."""
    drop_after: int | None = None
    """Close the connection after this many parts; 0 closes it before the status line."""
    before_last_part: Callable[[], None] | None = None
    """Called before the last bytes are sent, so that its effect is visible to whoever has read the answer."""


Handler = Callable[[HttpRequest], Awaitable[HttpResponse]]


class _BadRequestError(Exception):
    """The bytes received are not HTTP that this server reads."""


class HttpServer:
    """Serves `handler` on a free port of 127.0.0.1, from its construction until `close()`."""

    def __init__(self, handler: Handler, *, thread_name: str) -> None:
        self._handler = handler
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._closing = threading.Lock()
        self.closed = False
        self._thread = threading.Thread(target=self._run, name=thread_name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Cut the open connections, free the port and end the thread; closing twice is closing once."""
        with self._closing:
            if self.closed:
                return
            self.closed = True
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._socket.close()
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, sock=self._socket, limit=MAX_HEADER_BYTES)
        await self._stop.wait()
        server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self._exchange(reader, writer):
                pass
            writer.close()
            await writer.wait_closed()
        except _BadRequestError as error:
            text = f"{error}\n".encode()
            await _write(writer, HttpResponse(400, "text/plain", [text]), keep_alive=False)
            writer.close()
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client went away, or the server is closing
        finally:
            if self._stop.is_set():
                writer.transport.abort()
            else:
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and answer it; True when the connection stays open for another one."""
        request = await _read_request(reader, writer)
        if request is None:
            return False
        response = await self._handler(request)
        keep_alive = request.headers.get("connection", "").lower() != "close"
        return await _write(writer, response, keep_alive=keep_alive)


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> HttpRequest | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise
        return None
    except asyncio.LimitOverrunError as error:
        raise _BadRequestError(f"The request's headers are longer than {MAX_HEADER_BYTES} bytes.") from error
    request_line, *lines = head.decode("latin-1").strip("\r\n").split("\r\n")
    try:
        method, target, version = request_line.split(" ")
    except ValueError:
        raise _BadRequestError("The request line is not HTTP.") from None
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if version == "HTTP/1.0":
        headers["connection"] = "close"
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return HttpRequest(method, target, headers, await _read_body(reader, headers))


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _read_chunks(reader)
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        raise _BadRequestError(f"The request's Content-Length {length!r} is not a size up to {MAX_BODY_BYTES} bytes.")
    return await reader.readexactly(int(length)) if length != "0" else b""


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        line = (await reader.readuntil(b"\r\n")).split(b";")[0].strip()
        try:
            size = int(line, 16)
        except ValueError:
            raise _BadRequestError("A chunk of the request's body has no size.") from None
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass  # trailers
            return bytes(body)
        if len(body) + size > MAX_BODY_BYTES:
            raise _BadRequestError(f"The request's body is longer than {MAX_BODY_BYTES} bytes.")
        body += await reader.readexactly(size)
        await reader.readexactly(2)


def _head(response: HttpResponse, framing: str, *, keep_alive: bool) -> bytes:
    try:
        reason = HTTPStatus(response.status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {response.status} {reason}", f"content-type: {response.content_type}", framing]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    if not keep_alive:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


async def _write(writer: asyncio.StreamWriter, response: HttpResponse, *, keep_alive: bool) -> bool:
    """Send the answer; True when the connection may be used again."""
    if response.delay > 0:
        await asyncio.sleep(response.delay)
    if response.drop_after == 0:
        return False
    if response.streamed:
        return await _write_stream(writer, response, keep_alive=keep_alive)
    body = b"".join(response.parts)
    head = _head(response, f"content-length: {len(body)}", keep_alive=keep_alive)
    if response.drop_after is not None:
        writer.write(head + body[: len(body) // 2])
        return False
    if response.before_last_part is not None:
        response.before_last_part()
    writer.write(head + body)
    await writer.drain()
    return keep_alive


async def _write_stream(writer: asyncio.StreamWriter, response: HttpResponse, *, keep_alive: bool) -> bool:
    waiting = [_head(response, "transfer-encoding: chunked", keep_alive=keep_alive)]
    last = len(response.parts) - 1
    for index, part in enumerate(response.parts):
        if index == response.drop_after:
            writer.write(b"".join(waiting))
            return False
        if response.part_delay > 0 and index:
            writer.write(b"".join(waiting))
            await writer.drain()
            waiting = []
            await asyncio.sleep(response.part_delay)
        if index == last and response.before_last_part is not None:
            response.before_last_part()
        if part:
            waiting.append(b"%x\r\n%b\r\n" % (len(part), part))
    if response.drop_after is None:
        waiting.append(b"0\r\n\r\n")
    writer.write(b"".join(waiting))
    await writer.drain()
    return keep_alive and response.drop_after is None
