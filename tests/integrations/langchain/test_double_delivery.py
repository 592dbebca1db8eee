"""One run that is told of twice is one step."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from treerings.testing import Capture, ModelServer
from treerings_langchain import CallbackHandler

AGENT = "agent bob\n  node model\n    llm ChatOpenAI\n  node tools\n    tool measure\n  node model\n    llm ChatOpenAI"


@tool
def measure(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree} has 90 rings"


def test_a_handler_that_is_bound_and_passed_records_once(
    model: Callable[..., Any],
    server: ModelServer,
    captured: Capture,
    invoke: Callable[..., Any],
    traced: dict[str, Any],
) -> None:
    server.say("ninety")
    chain = (RunnableLambda(lambda text: text) | model()).with_config(traced)

    invoke(chain, "how old?")

    assert captured.outline() == "workflow RunnableSequence\n  chain RunnableLambda\n  llm ChatOpenAI"


def test_two_handlers_of_an_agent_record_once(
    model: Callable[..., Any], server: ModelServer, captured: Capture, invoke: Callable[..., Any]
) -> None:
    server.call_tool("measure", {"tree": "oak"}).say("Ninety.")
    agent = create_agent(model(callbacks=[CallbackHandler()]), [measure], name="bob")

    invoke(agent, {"messages": [("user", "how old?")]}, {"callbacks": [CallbackHandler(), CallbackHandler()]})

    assert captured.outline() == AGENT
    assert captured.workflow.totals.llm_calls == 2
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_a_copied_configuration_records_once(
    model: Callable[..., Any],
    server: ModelServer,
    captured: Capture,
    invoke: Callable[..., Any],
    traced: dict[str, Any],
) -> None:
    server.say("ninety")
    both = {"callbacks": [*traced["callbacks"], *copy.deepcopy(traced)["callbacks"]]}

    invoke(model(), "how old?", both)

    assert captured.outline() == "llm ChatOpenAI"


def test_an_end_that_is_told_again_changes_nothing(captured: Capture) -> None:
    handler, run_id = CallbackHandler(), uuid4()
    handler.on_chain_start({}, "in", run_id=run_id, name="chain")
    handler.on_chain_end("out", run_id=run_id)
    captured.flush()

    handler.on_chain_error(ValueError("late"), run_id=run_id)
    handler.on_chain_end("again", run_id=run_id)

    assert captured.outline() == "workflow chain"
    assert captured.workflow.steps[0].output == "out"


def test_an_end_without_a_start_is_a_step_of_its_own(captured: Capture) -> None:
    answer = LLMResult(generations=[[ChatGeneration(message=AIMessage("ninety"))]])

    CallbackHandler().on_llm_end(answer, run_id=uuid4())

    assert captured.outline() == "llm llm"
    assert captured.step("llm").attributes["start_not_seen"] is True


def test_a_stream_on_two_handlers_records_once(
    model: Callable[..., Any], server: ModelServer, captured: Capture
) -> None:
    server.say("ninety rings", times=2)
    chain = RunnableLambda(lambda text: text) | model()
    both: Any = {"callbacks": [CallbackHandler(), CallbackHandler()]}

    async def read() -> None:
        async for _ in chain.astream("how old?", both):
            pass

    list(chain.stream("how old?", both))
    asyncio.run(read())

    assert captured.outline() == "\n\n".join(
        ["workflow RunnableSequence\n  chain RunnableLambda\n  llm ChatOpenAI"] * 2
    )


async def test_an_async_text_model_beside_other_inline_handlers_has_its_start(
    captured: Capture, traced: dict[str, Any]
) -> None:
    class Inline(BaseCallbackHandler):
        run_inline = True

    await FakeListLLM(responses=["ninety"]).agenerate(
        ["oak", "elm"], callbacks=[Inline(), *traced["callbacks"], Inline()]
    )

    assert captured.outline() == "llm FakeListLLM\n\nllm FakeListLLM"
    assert sorted(str(step.input) for step in captured.steps) == ["elm", "oak"]
    assert all("start_not_seen" not in step.attributes for step in captured.steps)
