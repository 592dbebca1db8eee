"""Every recorded answer of Anthropic, read through the SDK, uses what it says it uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from anthropic import Anthropic
from treerings.testing import Capture, ModelServer, recordings
from treerings.testing.recordings import Call

pytestmark = pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")

FOLDER = recordings.folder()


def recorded() -> list[Any]:
    if FOLDER is None:
        return [pytest.param(None, marks=pytest.mark.skip("no recordings beside the repository"))]
    found = []
    for path in sorted(FOLDER.glob("*/*.json")):
        for number, call in enumerate(recordings.load(path)):
            if call.provider == "anthropic" and call.endpoint == "messages":
                found.append(pytest.param(call, id=f"{path.stem}-{number}"))
    return found


@pytest.mark.parametrize("call", recorded())
def test_usage_is_what_the_answer_says(
    call: Call, server: ModelServer, client: Anthropic, run: Callable[..., Any], captured: Capture
) -> None:
    server.play([call, call, call, call])
    body = {"max_tokens": 9, **call.request}
    ways = 2

    ask(client, body)
    run(lambda client: ask_async(client, body))
    if not call.is_stream:
        client.messages.with_raw_response.create(**known(body))
        with client.messages.with_streaming_response.create(**known(body)) as response:
            response.json()
        ways = 4

    total = recordings.usage_total([call])
    steps = captured.steps
    assert len(steps) == ways
    for step in steps:
        usage = step.usage
        assert usage is not None
        assert not step.estimated
        assert (
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens or 0,
            usage.cache_write_tokens or 0,
        ) == (
            total.input_tokens,
            total.output_tokens,
            total.cache_read_tokens,
            total.cache_write_tokens,
        )
        assert step.output == steps[0].output
        assert step.output is not None


def known(body: dict[str, Any]) -> dict[str, Any]:
    """The body as arguments; what this version of the SDK has no argument for goes beside them."""
    names = ("model", "max_tokens", "messages", "system", "tools", "stream")
    given = {name: body[name] for name in names if name in body}
    return {**given, "extra_body": {name: value for name, value in body.items() if name not in names}}


def ask(client: Any, body: dict[str, Any]) -> None:
    if body.get("stream"):
        arguments = known({name: value for name, value in body.items() if name != "stream"})
        with client.messages.stream(**arguments) as stream:
            for _ in stream:
                pass
    else:
        client.messages.create(**known(body))


async def ask_async(client: Any, body: dict[str, Any]) -> None:
    answer = await client.messages.create(**known(body))
    if body.get("stream"):
        async for _ in answer:
            pass
