"""The Interactions interface: creating one is a model call."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from google.genai import Client
from google_answers import MODEL
from treerings.testing import Capture, ModelServer
from treerings.testing.recordings import Call

pytestmark = pytest.mark.filterwarnings("ignore")

URL = "https://generativelanguage.googleapis.com/v1beta/interactions"
USAGE = {
    "total_input_tokens": 12,
    "total_output_tokens": 5,
    "total_thought_tokens": 20,
    "total_cached_tokens": 4,
    "total_tokens": 37,
}
INTERACTION: dict[str, Any] = {
    "id": "i_1",
    "status": "completed",
    "model": MODEL,
    "object": "interaction",
    "steps": [{"type": "model_output", "content": [{"type": "text", "text": "112 rings."}]}],
    "usage": USAGE,
}
SHOWN = ("provider", "model", "input_tokens", "output_tokens", "reasoning_tokens", "cache_read_tokens")
WHOLE = (
    f"llm interactions provider=google model={MODEL} input_tokens=12 output_tokens=25 reasoning_tokens=20"
    " cache_read_tokens=4"
)


def streamed() -> Call:
    begun = {key: value for key, value in INTERACTION.items() if key not in ("steps", "usage")}
    events = [
        {"event_type": "interaction.created", "interaction": {**begun, "status": "in_progress"}},
        {"event_type": "step.start", "index": 0, "step": {"type": "model_output"}},
        {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "112 "}},
        {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "rings."}},
        {"event_type": "step.stop", "index": 0},
        {"event_type": "interaction.completed", "interaction": {**begun, "usage": USAGE}},
    ]
    text = "".join(f"event: {one['event_type']}\ndata: {json.dumps(one)}\n\n" for one in events)
    return Call(URL, 200, {}, text + "data: [DONE]\n\n")


def test_an_interaction_is_a_model_call(
    server: ModelServer, client: Client, run: Callable[..., Any], captured: Capture
) -> None:
    server.play([Call(URL, 200, {}, INTERACTION) for _ in range(2)])

    client.interactions.create(model=MODEL, input="How old?", system_instruction="Be brief.")
    run(lambda client: client.interactions.create(model=MODEL, input="How old?"))

    assert captured.outline(show=SHOWN) == f"{WHOLE}\n\n{WHOLE}"
    step = captured.steps[0]
    assert step.input == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How old?"}]
    assert step.output == {"role": "assistant", "content": "112 rings."}
    assert (step.attributes["response_id"], step.attributes["finish_reason"]) == ("i_1", "completed")


def test_a_streamed_interaction_is_one_call(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([streamed()])

    with client.interactions.create(model=MODEL, input="How old?", stream=True) as events:
        assert len(list(events)) == 6

    assert captured.outline(show=SHOWN) == WHOLE
    assert captured.step("llm").output == {"role": "assistant", "content": "112 rings."}


def test_a_failure_is_an_error(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([Call(URL, 400, {}, {"error": {"code": 400, "message": "no"}})])

    with pytest.raises(Exception, match="no"):
        client.interactions.create(model=MODEL, input="How old?")

    assert captured.outline() == "llm interactions error"


def test_off_again_nothing_is_recorded(server: ModelServer, client: Client, captured: Capture) -> None:
    server.play([Call(URL, 200, {}, INTERACTION)])
    treerings.uninstrument("google")

    client.interactions.create(model=MODEL, input="How old?")

    assert captured.steps == []
