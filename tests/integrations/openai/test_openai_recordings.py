"""Recorded answers of OpenAI and of those who speak like it, read through the real SDK: usage equals the raw payload."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import treerings
from treerings import Usage
from treerings.testing import Capture, capture, recordings
from treerings.testing.recordings import Call

FOLDER = recordings.folder()
METHODS = {
    "chat/completions": "chat.completions",
    "completions": "completions",
    "responses": "responses",
    "embeddings": "embeddings",
}
MODES = ("plain", "async", "raw", "streaming")


@cache
def calls(path: Path) -> list[Call]:
    """The answered calls of a recording that OpenAI's SDK can make."""
    try:
        found = recordings.load(path)
    except (KeyError, TypeError, ValueError):
        return []
    return [
        call
        for call in found
        if call.endpoint in METHODS
        and call.status < 400
        and isinstance(call.request, dict)
        and call.provider != "ollama"
    ]


def has_text(call: Call) -> bool:
    """Whether the answer says anything, in a form that the SDK knows: neither filtered nor in a provider's own events."""
    return any(
        event.get("output")
        or event.get("data")
        or event.get("type") == "response.completed"
        or any(
            choice.get("message") or choice.get("delta") or choice.get("text") for choice in event.get("choices") or ()
        )
        for event in recordings.events(call)
    )


def names() -> list[str]:
    if FOLDER is None:
        return []
    return [str(path.relative_to(FOLDER)) for path in sorted(FOLDER.rglob("*.json")) if calls(path)]


@pytest.fixture
def captured() -> Iterator[Capture]:
    with capture() as captured:
        treerings.instrument("openai")
        yield captured
        treerings.uninstrument("openai")


def client_for(call: Call, *, asynchronous: bool) -> Any:
    """A client of the provider that gets the recorded answer, byte for byte, whatever it asks."""
    streamed = isinstance(call.response, str)
    body = call.response.encode() if streamed else json.dumps(call.response).encode()
    kind = "text/event-stream" if streamed else "application/json"

    def respond(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": kind}, content=body)

    transport = httpx.MockTransport(respond)
    base_url = call.url.partition(f"/{call.endpoint}")[0]
    if asynchronous:
        return openai.AsyncOpenAI(
            base_url=base_url, api_key="unused", http_client=httpx.AsyncClient(transport=transport)
        )
    return openai.OpenAI(base_url=base_url, api_key="unused", http_client=httpx.Client(transport=transport))


def options_of(method: Any, call: Call) -> dict[str, Any]:
    """What was asked, as arguments; what the SDK does not know goes in as `extra_body`."""
    known = set(inspect.signature(method).parameters)
    options = {name: value for name, value in call.request.items() if name in known}
    options.setdefault("model", call.asked.model or "deployed")  # Azure's is in the path
    if extra := {name: value for name, value in call.request.items() if name not in known}:
        options["extra_body"] = extra
    if isinstance(call.response, str):
        options["stream"] = True
    else:
        options.pop("stream", None)
    return options


def ask(call: Call, mode: str) -> None:
    client = client_for(call, asynchronous=mode == "async")
    resource = client
    for part in METHODS[call.endpoint].split("."):
        resource = getattr(resource, part)
    options = options_of(resource.create, call)
    with contextlib.suppress(openai.APIError):  # an error inside a recorded stream
        if mode == "async":
            asyncio.run(_ask_async(client, resource, options))
        elif mode == "raw":
            _read(resource.with_raw_response.create(**options).parse())
        elif mode == "streaming":
            with resource.with_streaming_response.create(**options) as response:
                for _ in response.iter_lines():
                    pass
        else:
            _read(resource.create(**options))


def _read(result: Any) -> None:
    if isinstance(result, openai.Stream):
        for _ in result:
            pass


async def _ask_async(client: Any, resource: Any, options: dict[str, Any]) -> None:
    async with client:
        result = await resource.create(**options)
        if isinstance(result, openai.AsyncStream):
            async for _ in result:
                pass


@pytest.mark.skipif(FOLDER is None, reason="no recordings beside the repository")
@pytest.mark.parametrize("name", names())
def test_usage_equals_the_recorded_payload_however_it_is_read(captured: Capture, name: str) -> None:
    assert FOLDER is not None
    played = calls(FOLDER / name) * len(MODES)
    for index, call in enumerate(played):
        ask(call, MODES[index * len(MODES) // len(played)])
    steps = captured.steps
    assert len(steps) == len(played)
    for call, step in zip(played, steps, strict=True):
        raw = (Usage.from_stream if isinstance(call.response, str) else Usage.from_provider)(
            call.response, step.provider
        )
        assert step.status == "ok", step.error
        if raw.as_dict():
            assert step.usage == raw
            assert step.estimated is (raw.output_tokens is None and step.kind == "llm")
        else:
            assert step.usage is None or step.estimated
        reported = recordings.usage_total([call])
        if not reported.calls_without_usage:
            assert step.usage is not None
            assert step.usage.input_tokens == reported.input_tokens
            assert (step.usage.output_tokens or 0) == reported.output_tokens
        known = {"openai", "azure", "groq", "mistral", "deepseek", "together", "voyage", "writer"}
        assert step.provider == (call.provider if call.provider in known else None)
        assert step.output or not has_text(call)
