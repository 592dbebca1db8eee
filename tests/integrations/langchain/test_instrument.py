"""Attaching changes nothing: same requests, same results, same exceptions; only a guard's `StopWorkflow` gets through."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import treerings
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_core.tracers._streaming import _StreamingCallbackHandler
from treerings import StopWorkflow, runtime
from treerings.testing import Capture, ModelServer
from treerings_langchain import CallbackHandler

QUESTION: Any = {"messages": [("user", "how old?")]}


@tool
def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree} has 90 rings"


async def invoke_model(model: Any, config: Any) -> Any:
    return model.invoke("how old?", config).text


async def ainvoke_model(model: Any, config: Any) -> Any:
    return (await model.ainvoke("how old?", config)).text


async def stream_model(model: Any, config: Any) -> Any:
    return [chunk.text for chunk in model.stream("how old?", config)]


async def invoke_agent(model: Any, config: Any) -> Any:
    return create_agent(model, [measure]).invoke(QUESTION, config)["messages"][-1].text


async def ainvoke_agent(model: Any, config: Any) -> Any:
    return (await create_agent(model, [measure]).ainvoke(QUESTION, config))["messages"][-1].text


async def stream_agent(model: Any, config: Any) -> Any:
    return [list(update) for update in create_agent(model, [measure]).stream(QUESTION, config, stream_mode="updates")]


async def agent_events_v1(model: Any, config: Any) -> Any:
    events = create_agent(model, [measure]).astream_events(QUESTION, config, version="v1")
    return [event["event"] async for event in events]


async def agent_events_v2(model: Any, config: Any) -> Any:
    events = create_agent(model, [measure]).astream_events(QUESTION, config, version="v2")
    return [event["event"] async for event in events]


async def agent_events_v3(model: Any, config: Any) -> Any:
    stream = create_agent(model, [measure]).astream_events(QUESTION, config, version="v3")
    stream = await stream if inspect.isawaitable(stream) else stream
    return [event["method"] async for event in stream]


async def model_events_v3(model: Any, config: Any) -> Any:
    stream = model.astream_events("how old?", config, version="v3")
    stream = await stream if inspect.isawaitable(stream) else stream
    return [event["event"] async for event in stream]


@pytest.mark.parametrize(
    "way",
    [
        invoke_model,
        ainvoke_model,
        stream_model,
        invoke_agent,
        ainvoke_agent,
        stream_agent,
        agent_events_v1,
        agent_events_v2,
        agent_events_v3,
        model_events_v3,
    ],
)
async def test_the_requests_and_the_results_are_the_same_with_a_handler(
    server: ModelServer, captured: Capture, model: Callable[..., Any], way: Callable[[Any, Any], Awaitable[Any]]
) -> None:
    server.when(tool_result=True).say("It is ninety.", times=None)
    server.when(contains="how old?").call_tool("measure", {"tree": "oak"}, id="call_1", times=None)

    bare = await way(model(), {})
    bare_requests = [(request.stream, request.body) for request in server.requests]
    seen = await way(model(), {"callbacks": [CallbackHandler()]})
    requests = [(request.stream, request.body) for request in server.requests][len(bare_requests) :]

    assert seen == bare
    assert requests == bare_requests
    assert captured.workflows


def test_a_handler_is_none_of_the_kinds_that_switch_models_to_streaming() -> None:
    handler: BaseCallbackHandler = CallbackHandler()

    assert not isinstance(handler, _StreamingCallbackHandler)
    assert not [kind for kind in type(handler).__mro__ if "Streaming" in kind.__name__]


def test_a_handler_is_true_and_runs_inline() -> None:
    handler = CallbackHandler()

    assert (bool(handler), handler.run_inline) == (True, True)


class Guard:
    """Stops the tool named `measure`, or whatever kind it is told."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    @treerings.hookimpl
    def step_starting(self, step: Any) -> None:
        if step.kind == self.kind:
            raise StopWorkflow(f"no {self.kind} today")


@pytest.fixture
def guard() -> Iterator[Callable[[str], None]]:
    names: list[str] = []

    def register(kind: str) -> None:
        names.append(runtime.register(Guard(kind)))

    yield register
    for name in names:
        runtime.unregister(name)


def test_a_guard_stops_an_agent_before_its_tool(
    model: Callable[..., Any],
    server: ModelServer,
    captured: Capture,
    invoke: Callable[..., Any],
    guard: Callable[[str], None],
) -> None:
    server.call_tool("measure", {"tree": "oak"})
    guard("tool")

    with pytest.raises(StopWorkflow, match="no tool today"):
        invoke(create_agent(model(), [measure], name="bob"), QUESTION)

    assert captured.outline() == (
        "agent bob cancelled\n  node model\n    llm ChatOpenAI\n  node tools cancelled\n    tool measure cancelled"
    )


def test_a_guard_stops_a_model_call_before_its_request(
    model: Callable[..., Any],
    server: ModelServer,
    captured: Capture,
    invoke: Callable[..., Any],
    guard: Callable[[str], None],
) -> None:
    guard("llm")

    with pytest.raises(StopWorkflow, match="no llm today"):
        invoke(RunnableLambda(lambda text: text).with_config(run_name="first") | model(), "how old?")

    assert server.requests == []
    assert captured.outline() == "workflow RunnableSequence cancelled\n  chain first\n  llm ChatOpenAI cancelled"


def test_a_guard_stops_a_workflow_at_its_start(
    captured: Capture, invoke: Callable[..., Any], guard: Callable[[str], None]
) -> None:
    guard("workflow")

    with pytest.raises(StopWorkflow, match="no workflow today"):
        invoke(RunnableLambda(str.upper) | RunnableLambda(str.lower), "oak")

    assert captured.outline() == "workflow RunnableSequence cancelled"


def test_a_guard_stops_a_node_on_two_handlers_once(
    captured: Capture, invoke: Callable[..., Any], guard: Callable[[str], None]
) -> None:
    guard("chain")

    with pytest.raises(StopWorkflow, match="no chain today"):
        invoke(
            RunnableLambda(str.upper) | RunnableLambda(str.lower),
            "oak",
            {"callbacks": [CallbackHandler(), CallbackHandler()]},
        )

    assert captured.outline() == "workflow RunnableSequence cancelled\n  chain upper cancelled"


def test_a_failure_of_ours_does_not_reach_the_program(
    captured: Capture, invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(captured.recorder, "start", broken)

    assert invoke(RunnableLambda(str.upper), "oak") == "OAK"


def test_a_recorder_that_cannot_be_made_does_not_reach_the_program(
    invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise OSError("no disk")

    monkeypatch.setattr(runtime, "current", None)
    monkeypatch.setattr(runtime, "current_recorder", broken)

    assert invoke(RunnableLambda(str.upper) | RunnableLambda(str.lower), "oak") == "oak"


def test_a_process_whose_settings_say_so_records_nothing_from_the_first_run_on(run_program: Callable[..., Any]) -> None:
    done = run_program(
        """
        import treerings
        from langchain_core.runnables import RunnableLambda
        from treerings_langchain import CallbackHandler

        RunnableLambda(str.upper).invoke("oak", {"callbacks": [CallbackHandler()]})
        print(treerings.flush().recorded)
        """,
        TREERINGS_ENABLED="false",
    )

    assert done.stdout.strip() == "0"
