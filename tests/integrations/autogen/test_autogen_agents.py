"""Single agents: one agent step whichever method runs them, and what runs within them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import pytest
from autogen_agentchat.agents import (
    AssistantAgent,
    BaseChatAgent,
    CodeExecutorAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
    SocietyOfMindAgent,
    UserProxyAgent,
)
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.memory import ListMemory, MemoryContent, MemoryMimeType
from treerings.testing import Capture, ModelServer

LLM = "llm OpenAIChatCompletionClient"


def rings(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree}: 112"


async def run(agent: Any) -> Any:
    return (await agent.run(task="How old?")).messages[-1].content


async def run_stream(agent: Any) -> Any:
    return [item async for item in agent.run_stream(task="How old?")][-1].messages[-1].content


async def on_messages(agent: Any) -> Any:
    message = TextMessage(content="How old?", source="user")
    return (await agent.on_messages([message], CancellationToken())).chat_message.content


async def on_messages_stream(agent: Any) -> Any:
    message = TextMessage(content="How old?", source="user")
    items = [
        item async for item in agent.on_messages_stream(messages=[message], cancellation_token=CancellationToken())
    ]
    return items[-1].chat_message.content


@pytest.mark.parametrize("way", [run, run_stream, on_messages, on_messages_stream])
@pytest.mark.parametrize("stream", [False, True], ids=["create", "create_stream"])
def test_every_way_to_run_an_agent_gives_the_same_tree(
    server: ModelServer, client: Callable[..., Any], captured: Capture, way: Callable[[Any], Any], stream: bool
) -> None:
    server.call_tool("rings", {"tree": "oak"}).say("112 years")
    agent = AssistantAgent("forester", client(), tools=[rings], reflect_on_tool_use=True, model_client_stream=stream)

    assert asyncio.run(way(agent)) == "112 years"

    assert captured.outline() == f"agent forester\n  {LLM}\n  tool rings\n  {LLM}"
    root = captured.workflow.steps[0]
    assert root.output == {"role": "forester", "content": "112 years"}
    assert root.input in ("How old?", [{"role": "user", "content": "How old?"}])


def test_a_tool_knows_the_call_that_asked_for_it(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.call_tool("rings", {"tree": "oak"})
    asyncio.run(AssistantAgent("forester", client(), tools=[rings]).run(task="How old?"))

    tool, call = captured.step("tool"), captured.step("llm")
    assert tool.attributes["called_by"] == call.id
    assert tool.attributes["tool_call_id"] == call.output["tool_calls"][0]["id"]
    assert (tool.input, tool.output) == ({"tree": "oak"}, "oak: 112")
    assert call.output["tool_calls"][0]["args"] == {"tree": "oak"}


@pytest.mark.parametrize("stream", [False, True], ids=["create", "create_stream"])
def test_an_agent_as_a_tool_is_below_the_tool(
    server: ModelServer, client: Callable[..., Any], captured: Capture, stream: bool
) -> None:
    server.call_tool("worker", {"task": "count"}).say("112").say("112 years")
    worker = AgentTool(AssistantAgent("worker", client()), return_value_as_last_message=True)
    boss = AssistantAgent(
        "boss", client(parallel_tool_calls=False), tools=[worker], reflect_on_tool_use=True, model_client_stream=stream
    )

    asyncio.run(boss.run(task="How old?"))

    assert captured.outline() == f"agent boss\n  {LLM}\n  tool worker\n    agent worker\n      {LLM}\n  {LLM}"


def test_a_team_as_a_tool_is_below_the_tool(server: ModelServer, client: Callable[..., Any], captured: Capture) -> None:
    server.call_tool("crew", {"task": "count"}).say("112").say("112 years")
    crew = RoundRobinGroupChat([AssistantAgent("worker", client())], max_turns=1)
    tool = TeamTool(crew, name="crew", description="Counts.", return_value_as_last_message=True)
    boss = AssistantAgent("boss", client(), tools=[tool], reflect_on_tool_use=True)

    asyncio.run(boss.run(task="How old?"))

    assert captured.outline() == (
        f"agent boss\n  {LLM}\n  tool crew\n    workflow RoundRobinGroupChat\n      agent worker\n        {LLM}\n  {LLM}"
    )


def test_a_society_of_mind_holds_its_team(server: ModelServer, client: Callable[..., Any], captured: Capture) -> None:
    server.call_tool("transfer_to_bob").say("one").say("all in all")
    inner = RoundRobinGroupChat([AssistantAgent("ann", client(), handoffs=["bob"])], max_turns=1)
    society = SocietyOfMindAgent("society", team=inner, model_client=client())

    asyncio.run(society.run(task="count"))

    assert captured.outline() == (
        "agent society\n"
        "  workflow RoundRobinGroupChat\n"
        "    agent ann\n"
        f"      {LLM}\n"
        "      handoff transfer_to_bob\n"
        f"  {LLM}"
    )


def test_a_filtered_agent_is_below_its_filter_and_reports_once(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    memory = ListMemory()
    server.say("one")
    ann = AssistantAgent("ann", client(), memory=[memory])
    keep = MessageFilterConfig(per_source=[PerSourceFilter(source="user", position="last", count=1)])
    agent = MessageFilterAgent("ann", wrapped_agent=ann, filter=keep)

    async def go() -> None:
        await memory.add(MemoryContent(content="Oaks are old.", mime_type=MemoryMimeType.TEXT))
        await agent.run(task="count")

    asyncio.run(go())

    assert captured.outline() == f"agent ann\n  agent ann\n    retriever memory\n    {LLM}"


def test_what_memory_added_is_a_retriever(server: ModelServer, client: Callable[..., Any], captured: Capture) -> None:
    memory = ListMemory()
    server.say("one")

    async def go() -> None:
        await memory.add(MemoryContent(content="Oaks are old.", mime_type=MemoryMimeType.TEXT, metadata={"page": 3}))
        await AssistantAgent("ann", client(), memory=[memory]).run(task="count")

    asyncio.run(go())

    assert captured.outline() == f"agent ann\n  retriever memory\n  {LLM}"
    assert captured.step("retriever").output == [{"content": "Oaks are old.", "metadata": {"page": 3}}]


def test_a_person_who_is_asked_is_a_human_step(
    server: ModelServer, client: Callable[..., Any], captured: Capture
) -> None:
    server.say("one")
    team = RoundRobinGroupChat(
        [AssistantAgent("ann", client()), UserProxyAgent("you", input_func=lambda prompt: "fine")], max_turns=2
    )

    asyncio.run(team.run(task="count"))

    assert captured.outline() == (
        f"workflow RoundRobinGroupChat\n  agent ann\n    {LLM}\n  agent you\n    human user_input"
    )


def test_a_person_who_fails_to_answer_is_an_error(captured: Capture) -> None:
    def hang_up(prompt: str) -> str:
        raise EOFError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        asyncio.run(UserProxyAgent("you", input_func=hang_up).run(task="count"))

    assert captured.outline() == "agent you error\n  human user_input error"


class Executor(CodeExecutor):
    component_type = "code_executor"
    component_provider_override = "tests.Executor"
    codes = (1, 0)

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        return CodeResult(exit_code=0 if "good" in code_blocks[0].code else 1, output="112")

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def restart(self) -> None: ...


@pytest.mark.parametrize(("code", "status"), [("good", ""), ("bad", " error")])
def test_code_that_runs_is_a_tool(
    server: ModelServer, client: Callable[..., Any], captured: Capture, code: str, status: str
) -> None:
    server.say(f"```python\n{code}\n```").say("112 years")
    agent = CodeExecutorAgent("coder", Executor(), model_client=client(), approval_func=None)

    asyncio.run(agent.run(task="count"))

    assert captured.outline() == f"agent coder\n  {LLM}\n  tool execute_code{status}\n  {LLM}"
    assert captured.step("tool").input[0]["code"].strip() == code


class Quiet(BaseChatAgent):
    """An agent of the program's own, which hands over without a tool."""

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (HandoffMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        return Response(chat_message=HandoffMessage(content="over to you", target="bob", source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None: ...


class Loud(Quiet):
    """Calls what it inherits."""

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        return await super().on_messages(messages, cancellation_token)

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[Any, None]:
        async for item in super().on_messages_stream(messages, cancellation_token):
            yield item


@pytest.mark.parametrize("kind", [Quiet, Loud])
@pytest.mark.parametrize("way", [run, run_stream, on_messages, on_messages_stream])
def test_an_own_agent_is_one_step_and_its_handoff_another(
    captured: Capture, kind: type[Quiet], way: Callable[[Any], Any]
) -> None:
    asyncio.run(way(kind("ann", "An agent.")))

    assert captured.outline(show=("handoff_to",)) == "agent ann\n  handoff handoff to bob handoff_to=bob"
