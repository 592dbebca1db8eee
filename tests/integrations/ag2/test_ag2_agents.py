"""Agents of ag2: every way to run one, what it delegates, what it is refused, what goes wrong."""

from __future__ import annotations

import asyncio
import urllib.error
from collections.abc import Callable
from typing import Any

import pytest
import treerings
from ag2 import Agent, Context, Plugin
from ag2.agent import TaskConfig
from ag2.compact import CompactTrigger, SummarizeCompact
from ag2.events import ModelMessage, ModelMessageChunk, ModelResponse, ToolCallEvent, ToolErrorEvent, Usage, UsageEvent
from ag2.exceptions import HumanInputError
from ag2.knowledge import MemoryKnowledgeStore
from ag2.knowledge.config import KnowledgeConfig
from ag2.middleware import BaseMiddleware, Middleware, RetryMiddleware
from ag2.middleware.builtin.tools.approval import approval_required
from ag2.testing import TestConfig
from ag2.tools import tool
from treerings import runtime
from treerings.context import current_step
from treerings.testing import Answer, Capture, ModelRequest, ModelServer, ToolCall, outline
from treerings_ag2 import integration, middleware
from treerings_ag2.served import ServedConfig

LLM = "llm gpt-4o-mini"


def rings(tree: str) -> str:
    """Count the rings of a tree."""
    with treerings.step("chain", "inner"):
        return f"{tree}: 112"


async def arings(tree: str) -> str:
    """Count the rings of a tree."""
    return rings(tree)


async def ask(agent: Agent[Any]) -> Any:
    return (await agent.ask("How old?")).body


async def run(agent: Agent[Any]) -> Any:
    async with agent.run("How old?") as handle:
        return (await handle.result()).body


async def start(agent: Agent[Any]) -> Any:
    async with agent.run("How old?") as handle:
        handle.start()
        return (await handle.result()).body


@pytest.mark.parametrize("way", [ask, run, start])
@pytest.mark.parametrize("function", [rings, arings])
def test_every_way_to_run_an_agent_gives_the_same_tree(
    server: ModelServer, config: Any, captured: Capture, way: Callable[..., Any], function: Callable[..., Any]
) -> None:
    server.call_tool(function.__name__, {"tree": "oak"}).say("112 years")

    assert asyncio.run(way(Agent("forester", "Be brief.", config=config, tools=[function]))) == "112 years"

    assert captured.outline() == (f"agent forester\n  {LLM}\n  tool {function.__name__}\n    chain inner\n  {LLM}")
    root, call, used = captured.workflow.steps[:3]
    assert (root.input, root.output) == ("How old?", "112 years")
    assert call.input == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How old?"}]
    assert (used.input, used.output, used.attributes["called_by"]) == ({"tree": "oak"}, "oak: 112", call.id)


def test_tokens_and_what_the_answer_says_are_on_the_call(server: ModelServer, config: Any, captured: Capture) -> None:
    server.say("112", usage={"input_tokens": 900, "cache_read_tokens": 800})

    asyncio.run(ask(Agent("forester", config=config)))

    step = captured.step("llm")
    assert step.usage is not None
    assert (step.usage.input_tokens, step.usage.cache_read_tokens) == (900, 800)
    assert (step.model, step.provider, step.source) == ("gpt-4o-mini", "openai", "ag2")
    assert step.attributes == {
        "request": {"temperature": 0.5},
        "finish_reason": "stop",
        "response_id": "chatcmpl-000001",
    }
    assert step.cost_usd is not None


def test_a_turn_that_continues_another_is_a_workflow(server: ModelServer, config: Any, captured: Capture) -> None:
    server.say("one").say("two")

    async def go() -> None:
        reply = await Agent("forester", config=config).ask("first")
        await reply.ask("second")

    asyncio.run(go())

    assert [workflow.steps[0].input for workflow in captured.workflows] == ["first", "second"]


def test_agents_at_once_have_trees_of_their_own(server: ModelServer, config: Any, captured: Capture) -> None:
    def reply(request: ModelRequest) -> Any:
        if request.tool_result is None:
            return Answer(tool_calls=[ToolCall("rings", {"tree": "oak"})], delay=0.01)
        return "112"

    server.reply(reply, times=None)

    async def go() -> None:
        await asyncio.gather(*(ask(Agent(f"a{n}", config=config, tools=[rings])) for n in range(5)))

    asyncio.run(go())

    assert sorted(outline(workflow) for workflow in captured.workflows) == [
        f"agent a{n}\n  {LLM}\n  tool rings\n    chain inner\n  {LLM}" for n in range(5)
    ]


def test_a_delegated_agent_is_below_the_tool_and_counted_once(
    server: ModelServer, config: Any, captured: Capture
) -> None:
    """G2: its tokens also arrive as one sum of kind `subtask`."""
    server.call_tool("task_worker", {"objective": "count"}).say("112").say("112 years")
    worker = Agent("worker", config=config)
    boss = Agent("boss", config=config, tools=[worker.as_tool(description="Counts.")])

    asyncio.run(ask(boss))

    assert captured.outline() == f"agent boss\n  {LLM}\n  tool task_worker\n    agent worker\n      {LLM}\n  {LLM}"
    totals = captured.workflow.totals
    assert (totals.input_tokens, totals.llm_calls) == (server.usage_served.input_tokens, 3)


def test_a_spawned_subtask_is_below_the_tool(server: ModelServer, config: Any, captured: Capture) -> None:
    server.call_tool("run_subtask", {"task": "count"}).say("112").say("112 years")

    asyncio.run(ask(Agent("boss", config=config, tasks=TaskConfig())))

    kinds = [str(step.kind) for step in captured.workflow.steps]
    assert kinds == ["agent", "llm", "tool", "agent", "llm", "llm"]
    assert captured.workflow.steps[3].parent_id == captured.step("tool").id


def test_an_agent_that_exists_already_is_recorded_and_looks_as_before(
    server: ModelServer, config: Any, captured: Capture
) -> None:
    integration.uninstrument()
    agent = Agent("forester", config=config)
    integration.instrument()
    server.say("112")

    asyncio.run(ask(agent))

    assert captured.outline() == f"agent forester\n  {LLM}"
    assert agent.middleware == ()


def test_errors_of_tools_are_on_the_tool(server: ModelServer, config: Any, captured: Capture) -> None:
    """G3: they are returned, not raised."""

    def saw() -> str:
        """Cut."""
        raise OSError("blunt")

    server.call_tools([("saw", {}), ("nothing", {})]).say("It is blunt.")

    asyncio.run(ask(Agent("forester", config=config, tools=[saw])))

    lines = captured.outline().splitlines()
    assert lines[0] == "agent forester"
    assert sorted(lines[2:4]) == ["  tool nothing error", "  tool saw error"]
    assert captured.step("tool", "saw").error_type == "OSError"
    assert captured.step("tool", "nothing").error_type == "ToolNotFoundError"
    assert captured.step("tool", "nothing").attributes["called_by"] == captured.workflow.steps[1].id


def test_a_failed_call_is_an_error_up_to_its_agent(server: ModelServer, config: Any, captured: Capture) -> None:
    server.fail(500)

    with pytest.raises(urllib.error.HTTPError):
        asyncio.run(ask(Agent("forester", config=config)))

    assert captured.outline() == f"agent forester error\n  {LLM} error"


def test_each_attempt_of_a_retry_is_a_step(server: ModelServer, config: Any, captured: Capture) -> None:
    """G5: a middleware outside of the retries would see one call."""
    server.fail(500).fail(500).say("112")

    asyncio.run(ask(Agent("forester", config=config, middleware=[RetryMiddleware(3)])))

    assert captured.outline(show=("attempt",)) == (
        f"agent forester\n  {LLM} error\n  {LLM} error attempt=2\n  {LLM} attempt=3"
    )


def test_a_timeout_cancels_down_to_the_call(captured: Capture) -> None:
    """G6: `CancelledError` is no `Exception`."""

    async def go() -> None:
        async def hang(*_: Any, **__: Any) -> Any:
            scope.reschedule(asyncio.get_running_loop().time())  # the time is up once the model is asked
            await asyncio.Event().wait()

        class Hanging(TestConfig):
            def create(self) -> Any:
                return hang

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(None) as scope:
                await ask(Agent("forester", config=Hanging(model="oak")))
        assert current_step() is None

    asyncio.run(go())

    assert captured.outline() == "agent forester cancelled\n  llm oak cancelled"


def test_a_run_that_is_left_is_cancelled(captured: Capture) -> None:
    async def go() -> None:
        begun = asyncio.Event()

        async def hang() -> str:
            """Hang."""
            begun.set()
            await asyncio.Event().wait()
            return ""

        agent = Agent("forester", config=TestConfig(ToolCallEvent("hang")), tools=[hang])
        async with agent.run("How old?") as handle:
            handle.start()
            await begun.wait()

    asyncio.run(go())

    assert captured.outline() == "agent forester cancelled\n  llm model call\n  tool hang cancelled"


def test_a_person_who_is_asked_is_a_human_step(server: ModelServer, config: Any, captured: Capture) -> None:
    async def ask_someone(context: Context) -> str:
        """Ask."""
        return await context.input("Which tree?")

    server.call_tool("ask_someone").say("The oak.")

    asyncio.run(ask(Agent("forester", config=config, tools=[ask_someone], hitl_hook=lambda event: "the oak")))

    assert captured.outline() == f"agent forester\n  {LLM}\n  tool ask_someone\n    human user_input\n  {LLM}"
    human = captured.step("human")
    assert (human.input, human.output) == ("Which tree?", "the oak")


def test_a_person_who_cannot_be_asked_is_an_error(server: ModelServer, config: Any, captured: Capture) -> None:
    async def ask_someone(context: Context) -> str:
        """Ask."""
        return await context.input("Which tree?")

    def hang_up(event: Any) -> str:
        raise EOFError("gone")

    server.call_tool("ask_someone")

    with pytest.raises(HumanInputError):
        asyncio.run(ask(Agent("forester", config=config, tools=[ask_someone], hitl_hook=hang_up)))

    assert captured.outline() == (
        f"agent forester error\n  {LLM}\n  tool ask_someone error\n    human user_input error"
    )


def test_an_approval_is_below_the_tool_that_it_is_for(server: ModelServer, config: Any, captured: Capture) -> None:
    guarded = tool(rings, middleware=[approval_required()])
    server.call_tool("rings", {"tree": "oak"}).say("No.")

    asyncio.run(ask(Agent("forester", config=config, tools=[guarded], hitl_hook=lambda event: "n")))

    assert captured.outline().startswith(f"agent forester\n  {LLM}\n  tool rings\n    human user_input\n")


class Refusing(BaseMiddleware):
    async def on_tool_execution(self, call_next: Any, event: Any, context: Any) -> Any:
        return ToolErrorEvent.from_call(event, PermissionError("not today"))


def test_a_tool_that_a_middleware_refuses_is_a_failed_tool(server: ModelServer, config: Any, captured: Capture) -> None:
    server.call_tool("rings", {"tree": "oak"}).say("No.")

    asyncio.run(ask(Agent("forester", config=config, tools=[rings], middleware=[Middleware(Refusing)])))

    assert captured.outline() == f"agent forester\n  {LLM}\n  tool rings error\n  {LLM}"


def test_the_first_token_of_a_stream_is_noted(captured: Capture) -> None:
    chunks = (ModelMessageChunk("11"), ModelMessageChunk("2"), ModelResponse(ModelMessage("112")))

    asyncio.run(ask(Agent("forester", config=TestConfig(*chunks))))

    assert captured.step("llm").first_token_ms is not None


@pytest.mark.parametrize(
    ("provider", "usage", "expected"),
    [
        ("openai", Usage(100, 20, 120, 80, None, 5), (100, 20, 80, 5)),
        ("anthropic", Usage(10, 20, 30, 80, 10, 5), (100, 20, 80, 5)),
        ("google", Usage(100, 20, 125, 80, None, 5), (100, 25, 80, 5)),
    ],
)
def test_counts_become_inclusive_sums(
    captured: Capture, provider: str, usage: Usage, expected: tuple[int, ...]
) -> None:
    response = ModelResponse(ModelMessage("112"), usage=usage, model="m", provider=provider)

    asyncio.run(ask(Agent("forester", config=TestConfig(response))))

    found = captured.step("llm").usage
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.cache_read_tokens, found.reasoning_tokens) == expected


def test_an_answer_without_usage_is_unknown(captured: Capture) -> None:
    response = ModelResponse(ModelMessage("one hundred and twelve"), model="gpt-4o-mini", provider="openai")

    asyncio.run(ask(Agent("forester", config=TestConfig(response))))

    assert captured.step("llm").estimated


def test_a_compaction_of_the_history_is_a_call_of_its_own(server: ModelServer, config: Any, captured: Capture) -> None:
    """G7: ag2 calls the model outside of all middleware, after the turn, and tells the tokens only."""
    server.say("112").say("They talked of an oak.")
    knowledge = KnowledgeConfig(
        MemoryKnowledgeStore(),
        expose_tool=False,
        compact=SummarizeCompact(1, config),
        compact_trigger=CompactTrigger(max_events=1),
    )

    asyncio.run(ask(Agent("forester", config=config, knowledge=knowledge)))

    assert captured.outline(show=("purpose",)) == f"agent forester\n  {LLM}\n  llm compaction purpose=compaction"
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("place", ["agent", "ask", "plugin", "twice"])
def test_the_middleware_records_one_agent_once(
    server: ModelServer, config: Any, captured: Capture, everywhere: bool, place: str
) -> None:
    if not everywhere:
        integration.uninstrument()
    server.call_tool("rings", {"tree": "oak"}).say("112 years")
    own = middleware()
    if place == "plugin":
        agent = Agent("forester", config=config, tools=[rings], plugins=[Plugin(middleware=[own])])
    else:
        inside = {"agent": [own], "ask": [], "twice": [own, middleware()]}[place]
        agent = Agent("forester", config=config, tools=[rings], middleware=inside)

    asyncio.run(agent.ask("How old?", middleware=[own] if place == "ask" else []))

    assert captured.outline() == f"agent forester\n  {LLM}\n  tool rings\n    chain inner\n  {LLM}"
    assert captured.step("tool").attributes["called_by"] == captured.workflow.steps[1].id


def test_the_middleware_may_be_given_a_name(server: ModelServer, config: Any, captured: Capture) -> None:
    """G1: a middleware is not told whose it is."""
    integration.uninstrument()
    server.say("112")

    asyncio.run(ask(Agent("forester", config=config, middleware=[middleware("woodsman")])))

    assert captured.outline() == f"agent woodsman\n  {LLM}"


def test_what_a_middleware_of_the_program_spends_is_told(captured: Capture) -> None:
    class Spending(BaseMiddleware):
        async def on_turn(self, call_next: Any, event: Any, context: Any) -> Any:
            result = await call_next(event, context)
            await context.send(UsageEvent(Usage(10, 2, 12), kind="aggregation", model="m", provider="openai"))
            return result

    asyncio.run(ask(Agent("forester", config=TestConfig("112"), middleware=[Middleware(Spending)])))

    assert captured.step("llm", "aggregation").usage is not None


def test_nothing_is_recorded_when_off(server: ModelServer, config: Any, captured: Capture) -> None:
    server.say("one").say("two").say("three")
    agent = Agent("forester", config=config)
    original = Agent._drive_scope

    recorder = runtime.current_recorder()
    recorder.enabled = False
    asyncio.run(ask(agent))
    recorder.enabled = True
    integration.uninstrument()
    asyncio.run(ask(agent))

    assert captured.steps == []
    assert not hasattr(Agent._drive_scope, "treerings_original")
    integration.instrument()
    integration.instrument()
    assert Agent._drive_scope.treerings_original.__qualname__ == original.__qualname__  # type: ignore[attr-defined]
    asyncio.run(ask(agent))
    assert captured.outline() == f"agent forester\n  {LLM}"


def test_an_ag2_that_we_do_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    integration.uninstrument()
    monkeypatch.delattr(Agent, "_drive_scope")

    with pytest.raises(treerings.TreeringsError, match=r"treerings_ag2\.middleware\(\)"):
        integration.instrument()
    integration.uninstrument()


def test_the_probe_finds_what_is_expected(captured: Capture) -> None:
    with ModelServer() as server:
        server.call_tool("ring_count", {"tree": "oak"}).say("done")
        integration.probe(server.base_url)

    assert {str(step.kind) for step in captured.steps} == {"agent", "llm", "tool"}


class Guard:
    def __init__(self, kind: str) -> None:
        self.kind = kind

    @treerings.hookimpl
    def step_starting(self, step: treerings.StepStarted) -> None:
        if step.kind == self.kind:
            raise treerings.StopWorkflow(f"no {self.kind}")


@pytest.mark.parametrize("kind", ["agent", "llm"])
def test_a_guard_stops_an_agent(server: ModelServer, config: Any, captured: Capture, kind: str) -> None:
    name = runtime.register(Guard(kind))
    try:
        with pytest.raises(treerings.StopWorkflow, match=f"no {kind}"):
            asyncio.run(ask(Agent("forester", config=config)))
    finally:
        runtime.unregister(name)

    assert server.requests == []
    assert {str(step.status) for step in captured.steps} == {"cancelled"}


def test_a_bug_of_ours_changes_nothing(
    server: ModelServer, config: Any, captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    server.call_tool("arings", {"tree": "oak"}).say("112")
    for name in ("start", "end", "update"):
        monkeypatch.setattr(type(captured.recorder), name, broken)

    assert asyncio.run(ask(Agent("forester", config=config, tools=[arings]))) == "112"


def test_a_langchain_run_in_a_tool_is_below_it(server: ModelServer, config: Any, captured: Capture) -> None:
    runnables = pytest.importorskip("langchain_core.runnables")
    from treerings_langchain import CallbackHandler

    def chain() -> str:
        """Work."""
        inner = runnables.RunnableLambda(lambda x: "done", name="inner")
        return str(inner.invoke(1, {"callbacks": [CallbackHandler()]}))

    server.call_tool("chain").say("done")

    asyncio.run(ask(Agent("forester", config=config, tools=[chain])))

    assert captured.outline() == f"agent forester\n  {LLM}\n  tool chain\n    chain inner\n  {LLM}"


def test_many_turns_leave_nothing(captured: Capture) -> None:
    from treerings_ag2.runs import RUNS

    async def go() -> None:
        for _ in range(100):
            await ask(Agent("forester", config=TestConfig("112")))

    asyncio.run(go())

    assert len(RUNS) == 0
    assert len(captured.workflows) == 100


def test_no_key_is_recorded(server: ModelServer, captured: Capture) -> None:
    class Secret(ServedConfig):
        api_key = "sk-very-secret"
        default_headers = {"x-token": "sk-very-secret"}  # noqa: RUF012  # as configurations have them

    server.say("112")

    asyncio.run(ask(Agent("forester", config=Secret(server.base_url))))

    assert "very-secret" not in repr(captured.steps)
