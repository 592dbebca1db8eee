"""Agents of every framework, streamed: each gives the stream of one question, to be read in whatever way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

QUESTION = "How old is the oak?"
MODEL = "gpt-4o-mini"


def count_rings(question: str) -> str:
    """Count the rings of a tree."""
    return "oak: 112"


def langchain_agent(base_url: str) -> Any:
    from langchain.agents import create_agent

    agent = create_agent(_langchain_model(base_url), [count_rings], name="forester")
    return agent.astream({"messages": [("user", QUESTION)]}, stream_mode="messages")


def langchain_agent_sync(base_url: str) -> Any:
    from langchain.agents import create_agent

    agent = create_agent(_langchain_model(base_url), [count_rings], name="forester")
    return agent.stream({"messages": [("user", QUESTION)]}, stream_mode="messages")


def langchain_chain(base_url: str) -> Any:
    from langchain_core.output_parsers import StrOutputParser

    return (_langchain_model(base_url) | StrOutputParser()).stream(QUESTION)


def langchain_chain_async(base_url: str) -> Any:
    from langchain_core.output_parsers import StrOutputParser

    return (_langchain_model(base_url) | StrOutputParser()).astream(QUESTION)


def _langchain_model(base_url: str) -> Any:
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    return ChatOpenAI(
        model=MODEL,
        base_url=base_url,
        api_key=SecretStr("unused"),
        max_retries=0,
        stream_usage=True,
        http_async_client=httpx.AsyncClient(),
    )


async def llamaindex_agent(base_url: str) -> AsyncIterator[Any]:
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.tools import FunctionTool

    agent = FunctionAgent(
        name="forester", tools=[FunctionTool.from_defaults(fn=count_rings)], llm=_llamaindex_model(base_url)
    )
    handler = agent.run(QUESTION)
    async for event in handler.stream_events():
        yield event
    await handler


def llamaindex_model(base_url: str) -> Any:
    return _llamaindex_model(base_url).stream_complete(QUESTION)


async def llamaindex_model_async(base_url: str) -> AsyncIterator[Any]:
    async for item in await _llamaindex_model(base_url).astream_complete(QUESTION):
        yield item


def _llamaindex_model(base_url: str) -> Any:
    from llama_index.llms.openai import OpenAI

    return OpenAI(
        model=MODEL,
        api_base=base_url,
        api_key="unused",
        max_retries=0,
        additional_kwargs={"stream_options": {"include_usage": True}},
    )


async def autogen_team(base_url: str) -> AsyncIterator[Any]:
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.conditions import MaxMessageTermination
    from autogen_agentchat.teams import RoundRobinGroupChat
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    options: Any = {"stream_options": {"include_usage": True}}
    client = OpenAIChatCompletionClient(model=MODEL, base_url=base_url, api_key="unused", max_retries=0, **options)
    agent = AssistantAgent(
        "forester", model_client=client, tools=[count_rings], reflect_on_tool_use=True, model_client_stream=True
    )
    team = RoundRobinGroupChat([agent], termination_condition=MaxMessageTermination(2))
    async for item in team.run_stream(task=QUESTION):
        yield item
    await client.close()


async def openai_agents(base_url: str) -> AsyncIterator[Any]:
    from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, Runner, function_tool
    from openai import AsyncOpenAI

    model = OpenAIChatCompletionsModel(MODEL, openai_client=AsyncOpenAI(base_url=base_url, api_key="unused"))
    settings = ModelSettings(include_usage=True)
    agent = Agent(name="forester", model=model, tools=[function_tool(count_rings)], model_settings=settings)
    async for item in Runner.run_streamed(agent, QUESTION).stream_events():
        yield item


def agno_agent(base_url: str) -> Any:
    return _agno_agent(base_url).run(QUESTION, stream=True)


def agno_agent_async(base_url: str) -> Any:
    return _agno_agent(base_url).arun(QUESTION, stream=True)


def _agno_agent(base_url: str) -> Any:
    from agno.agent import Agent
    from agno.models.openai import OpenAIChat

    model = OpenAIChat(id=MODEL, base_url=base_url, api_key="unused", max_retries=0)
    return Agent(name="forester", model=model, tools=[count_rings], telemetry=False)


async def google_adk(base_url: str) -> AsyncIterator[Any]:
    from google.adk.agents import LlmAgent
    from google.adk.agents.run_config import RunConfig
    from google.adk.models.lite_llm import LiteLlm
    from google.adk.runners import InMemoryRunner
    from google.genai import types

    model = LiteLlm(f"openai/{MODEL}", api_base=base_url, api_key="unused", _skip_mcp_handler=True)
    runner = InMemoryRunner(LlmAgent(name="forester", model=model, tools=[count_rings]), app_name="app")
    mode: Any = "sse"
    session = await runner.session_service.create_session(app_name="app", user_id="ada")
    async for event in runner.run_async(
        user_id="ada",
        session_id=session.id,
        new_message=types.Content(role="user", parts=[types.Part(text=QUESTION)]),
        run_config=RunConfig(streaming_mode=mode),
    ):
        yield event


def crewai_crew(base_url: str) -> Any:
    from crewai import LLM, Agent, Crew, Task
    from crewai.tools import tool as crewai_tool

    llm = LLM(model=f"openai/{MODEL}", base_url=base_url, api_key="unused", stream=True)
    agent = Agent(role="forester", goal="Know trees.", backstory="Old.", llm=llm, tools=[crewai_tool(count_rings)])
    task = Task(description=QUESTION, expected_output="A sentence.", agent=agent)
    return iter(Crew(agents=[agent], tasks=[task], stream=True).kickoff())


class PydanticAI:
    """Its streams belong to a block, which the reader opens."""

    def __init__(self, base_url: str) -> None:
        self.block = _pydantic_ai_agent(base_url).run_stream(QUESTION)

    async def __aenter__(self) -> AsyncIterator[Any]:
        result: Any = await self.block.__aenter__()
        texts: AsyncIterator[Any] = result.stream_text(delta=True, debounce_by=None)
        return texts

    async def __aexit__(self, *error: Any) -> None:
        await self.block.__aexit__(*error)


async def pydantic_ai_nodes(base_url: str) -> AsyncIterator[Any]:
    """The reader goes from node to node, and opens the stream of each: in its own task."""
    from pydantic_ai import Agent

    async with _pydantic_ai_agent(base_url).iter(QUESTION) as run:
        async for node in run:
            yield node
            if Agent.is_model_request_node(node) or Agent.is_call_tools_node(node):
                events: Any
                async with node.stream(run.ctx) as events:
                    yield events
                    async for event in events:
                        yield event


async def pydantic_ai_events(base_url: str) -> AsyncIterator[Any]:
    async with _pydantic_ai_agent(base_url).run_stream_events(QUESTION) as events:
        async for event in events:
            yield event


def _pydantic_ai_agent(base_url: str) -> Any:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=base_url, api_key="unused"))
    return Agent(model, name="forester", tools=[count_rings])


STREAMS: dict[str, tuple[Callable[[str], Any], str, tuple[str, ...]]] = {
    "langchain agent": (langchain_agent, "langchain", ("langchain", "langchain_openai")),
    "langchain agent, sync": (langchain_agent_sync, "langchain", ("langchain", "langchain_openai")),
    "langchain chain": (langchain_chain_async, "langchain", ("langchain_openai",)),
    "langchain chain, sync": (langchain_chain, "langchain", ("langchain_openai",)),
    "llamaindex agent": (llamaindex_agent, "llamaindex", ("llama_index.core", "llama_index.llms.openai")),
    "llamaindex model": (llamaindex_model_async, "llamaindex", ("llama_index.llms.openai",)),
    "llamaindex model, sync": (llamaindex_model, "llamaindex", ("llama_index.llms.openai",)),
    "autogen team": (autogen_team, "autogen", ("autogen_agentchat", "autogen_ext")),
    "openai-agents": (openai_agents, "openai-agents", ("agents",)),
    "agno": (agno_agent_async, "agno", ("agno",)),
    "agno, sync": (agno_agent, "agno", ("agno",)),
    "google-adk": (google_adk, "google-adk", ("google.adk", "litellm")),
    "crewai crew, sync": (crewai_crew, "crewai", ("crewai",)),
    "pydantic-ai": (PydanticAI, "pydantic-ai", ("pydantic_ai",)),
    "pydantic-ai nodes": (pydantic_ai_nodes, "pydantic-ai", ("pydantic_ai",)),
    "pydantic-ai events": (pydantic_ai_events, "pydantic-ai", ("pydantic_ai",)),
}
"""By name: what makes the stream, what `treerings.instrument` calls the framework, the packages that it needs."""
