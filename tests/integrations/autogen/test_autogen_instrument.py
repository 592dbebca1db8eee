"""`instrument` and `uninstrument`: once, undone whole, and invisible to the program."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import treerings
from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.teams import BaseGroupChat, RoundRobinGroupChat
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import BaseTool, FunctionTool
from autogen_ext.models.openai import OpenAIChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient
from treerings import StopWorkflow, runtime
from treerings.testing import Capture, ModelServer, outline
from treerings_autogen import agents, integration, models, places, tools

METHODS = [
    (AssistantAgent, "on_messages_stream"),
    (AssistantAgent, "on_messages"),
    (BaseChatAgent, "run"),
    (BaseChatAgent, "run_stream"),
    (BaseGroupChat, "run_stream"),
    (BaseTool, "run_json"),
    (FunctionTool, "run"),
    (OpenAIChatCompletionClient, "create"),
    (OpenAIChatCompletionClient, "create_stream"),
]


def traits(function: Any) -> tuple[Any, ...]:
    return (
        inspect.signature(function),
        inspect.iscoroutinefunction(function),
        inspect.isasyncgenfunction(function),
        function.__qualname__,
        function.__doc__,
        inspect.getsource(function),
    )


@pytest.mark.parametrize(("cls", "name"), METHODS)
def test_methods_keep_their_traits_and_come_back(cls: type, name: str) -> None:
    integration.instrument()
    wrapped = getattr(cls, name)
    integration.uninstrument()
    original = getattr(cls, name)

    assert wrapped is not original
    assert not hasattr(original, "treerings_original")
    assert traits(wrapped) == traits(original)


def test_base_classes_have_their_own_hooks_back() -> None:
    integration.uninstrument()

    for base in (BaseChatAgent, BaseGroupChat, ChatCompletionClient, BaseTool):
        assert "__init_subclass__" not in base.__dict__


def test_a_class_that_comes_later_is_recorded_and_comes_back(captured: Capture) -> None:
    class Later(ReplayChatCompletionClient):
        async def create(self, *args: Any, **kwargs: Any) -> Any:
            return await super().create(*args, **kwargs)

    asyncio.run(Later(["112"]).create([]))
    integration.uninstrument()
    asyncio.run(Later(["112"]).create([]))

    assert captured.outline() == "llm Later"


def test_a_class_that_goes_is_not_kept() -> None:
    class Gone(ReplayChatCompletionClient):
        async def create(self, *args: Any, **kwargs: Any) -> Any:
            return await super().create(*args, **kwargs)

    kept = weakref.ref(Gone)
    del Gone
    gc.collect()

    assert kept() is None


def test_after_uninstrument_and_while_disabled_nothing_is_recorded(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.say("one").say("two").say("three")

    async def run() -> None:
        await AssistantAgent("ann", client()).run(task="How old?")

    recorder = runtime.current_recorder()
    recorder.enabled = False
    asyncio.run(run())
    recorder.enabled = True
    integration.uninstrument()
    asyncio.run(run())
    assert captured.steps == []
    integration.instrument()
    integration.instrument()
    asyncio.run(run())
    assert captured.outline() == "agent ann\n  llm OpenAIChatCompletionClient"


def test_the_probe_finds_what_is_expected(captured: Capture) -> None:
    with ModelServer() as server:
        server.call_tool("ring_count", {"tree": "oak"}).say("done")
        integration.probe(server.base_url)

    assert {str(step.kind) for step in captured.steps} == {"workflow", "agent", "llm", "tool"}


class Guard:
    def __init__(self, kind: str) -> None:
        self.kind = kind

    @treerings.hookimpl
    def step_starting(self, step: treerings.StepStarted) -> None:
        if step.kind == self.kind:
            raise StopWorkflow(f"no {self.kind}")


@pytest.fixture
def guard(captured: Capture) -> Iterator[Callable[[str], None]]:
    names: list[str] = []

    def register(kind: str) -> None:
        names.append(runtime.register(Guard(kind)))

    yield register
    for name in names:
        runtime.unregister(name)


@pytest.mark.parametrize("kind", ["workflow", "agent", "llm"])
def test_a_guard_stops_a_team(
    server: ModelServer, client: Callable[..., Any], captured: Capture, guard: Callable[[str], None], kind: str
) -> None:
    guard(kind)
    with pytest.raises(StopWorkflow, match=f"no {kind}"):
        asyncio.run(RoundRobinGroupChat([AssistantAgent("ann", client())], max_turns=1).run(task="count"))

    assert server.requests == []
    assert {str(step.status) for step in captured.steps} == {"cancelled"}


def test_a_guard_that_refuses_a_tool_is_told_to_the_model(
    server: ModelServer, client: Callable[..., Any], captured: Capture, guard: Callable[[str], None]
) -> None:
    ran = []

    def saw() -> str:
        """Cut."""
        ran.append(1)
        return ""

    guard("tool")
    server.call_tool("saw")
    asyncio.run(AssistantAgent("ann", client(), tools=[saw]).run(task="count"))

    assert ran == []
    assert captured.step("tool").status == "cancelled"


def test_a_bug_of_ours_changes_nothing(
    client: Callable[..., Any], server: ModelServer, captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    server.say("112")
    for name in ("start", "end", "update"):
        monkeypatch.setattr(type(captured.recorder), name, broken)

    result: Any = asyncio.run(AssistantAgent("ann", client()).run(task="count"))

    assert result.messages[-1].content == "112"


def test_many_runs_leave_nothing(captured: Capture) -> None:
    async def go() -> None:
        for number in range(300):
            client = ReplayChatCompletionClient(["112"])
            team = RoundRobinGroupChat([AssistantAgent("ann", client)], max_turns=1)
            if number % 3:
                await AssistantAgent("bob", ReplayChatCompletionClient(["112"])).run(task="count")
            else:
                await team.run(task="count")

    asyncio.run(go())

    assert [len(table) for table in (agents._runs, models._calls, places._teams, tools._open)] == [0, 0, 0, 0]
    assert len(captured.workflows) == 300
    assert {outline(workflow).count("\n") for workflow in captured.workflows} == {1, 2}
