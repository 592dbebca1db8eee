"""The demo's team: a supervisor, two agents with tools, and a node that writes the answer. Imports LangGraph."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import httpx
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.tools import BaseTool, ToolException, tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command
from langsmith import tracing_context
from openai import RateLimitError
from pydantic import SecretStr

from .script import BILLING, LOGISTICS, PARCELS, POLICY, READER, SUPERVISOR, WRITER

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

__all__ = ["ask"]


def ask(question: str, base_url: str, callbacks: list[Any]) -> str:
    """The team's answer, with its models at `base_url`."""
    with tracing_context(enabled=False), contextlib.closing(httpx.Client(trust_env=False)) as http:

        def model(name: str) -> ChatOpenAI:
            return ChatOpenAI(
                model=name,
                base_url=base_url,
                api_key=SecretStr("scripted"),
                http_client=http,
                max_retries=0,
                stream_usage=True,
            )

        supervisor = create_agent(model("gpt-5.2"), handovers(), system_prompt=SUPERVISOR, name="supervisor")
        logistics = create_agent(model("gpt-5-mini"), [tracking()], system_prompt=LOGISTICS, name="logistics")
        reader = model("gpt-5-nano").with_retry(
            retry_if_exception_type=(RateLimitError,), wait_exponential_jitter=False
        )
        billing = create_agent(model("gpt-5-mini"), [refunds(reader)], system_prompt=BILLING, name="billing")

        def write(state: MessagesState) -> dict[str, list[AnyMessage]]:
            chunks = model("gpt-5.2").stream([("system", WRITER), *state["messages"]])
            return {"messages": [AIMessage("".join(str(chunk.text) for chunk in chunks))]}

        team = StateGraph(MessagesState)
        team.add_node("supervisor", supervisor, destinations=("logistics", "billing", "write"))
        team.add_node("logistics", logistics)
        team.add_node("billing", billing)
        team.add_node("write", write)
        team.add_edge(START, "supervisor")
        team.add_edge("logistics", "supervisor")
        team.add_edge("billing", "supervisor")
        team.add_edge("write", END)
        state: Any = {"messages": [("user", question)]}
        result = team.compile(name="support desk").invoke(state, {"callbacks": callbacks})
        return str(result["messages"][-1].text)


def tracking() -> BaseTool:
    """A tool that fails for an order's number, and gives the model the error to correct itself."""

    @tool
    def track_parcel(number: str) -> str:
        """Say where a parcel is."""
        if number not in PARCELS:
            raise ToolException(f"No parcel {number}: this is an order, its parcel is R-77015.")
        return PARCELS[number]

    track_parcel.handle_tool_error = True
    return track_parcel


def refunds(reader: Runnable[Any, Any]) -> BaseTool:
    """A tool that asks a model of its own."""

    @tool
    def refund_terms(order: str) -> str:
        """Say what is paid back when an order is cancelled."""
        return str(reader.invoke([("system", READER), ("user", f"Order {order}. {POLICY}")]).text)

    return refund_terms


def handovers() -> list[BaseTool]:
    """The supervisor's tools: they hand over to whoever is next."""

    @tool
    def ask_logistics() -> Command[Any]:
        """Hand over to the agent for parcels."""
        return Command(goto="logistics", graph=Command.PARENT)

    @tool
    def ask_billing() -> Command[Any]:
        """Hand over to the agent for refunds."""
        return Command(goto="billing", graph=Command.PARENT)

    @tool
    def write_answer() -> Command[Any]:
        """Have the answer written."""
        return Command(goto="write", graph=Command.PARENT)

    return [ask_logistics, ask_billing, write_answer]
