"""Runs of agents: by tool calls and by code, streamed, managed, failed, stopped."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import treerings
from smolagents import (
    ChatMessage,
    CodeAgent,
    LocalPythonExecutor,
    LogLevel,
    Model,
    MultiStepAgent,
    OpenAIModel,
    Tool,
    ToolCallingAgent,
    local_python_executor,
    tool,
)
from smolagents.models import MessageRole
from smolagents.monitoring import TokenUsage
from treerings import StopWorkflow
from treerings.streams import end_abandoned
from treerings.testing import Capture, ModelServer
from treerings_smolagents import integration
from treerings_smolagents.runs import RUNS

WHOLE = "agent forester\n  llm gpt-4o-mini\n  tool rings\n  llm gpt-4o-mini"
CODED = "agent forester\n  llm gpt-4o-mini\n  tool python_interpreter\n    tool rings"


@tool
def rings(tree: str) -> str:
    """Counts the rings of a tree.

    Args:
        tree: The tree.
    """
    return f"{tree}: 112"


def calling(model: Any, **options: Any) -> ToolCallingAgent:
    return ToolCallingAgent(
        **{"tools": [rings], "model": model, "name": "forester", "verbosity_level": LogLevel.OFF, **options}
    )


def coding(model: Any, **options: Any) -> CodeAgent:
    return CodeAgent(
        **{"tools": [rings], "model": model, "name": "forester", "verbosity_level": LogLevel.OFF, **options}
    )


def code(text: str) -> str:
    return f"Thought: so.\n<code>\n{text}\n</code>"


def plain(agent: MultiStepAgent) -> Any:
    return agent.run("How old?")


def streamed(agent: MultiStepAgent) -> Any:
    return list(agent.run("How old?", stream=True))[-1].output


def full_result(agent: MultiStepAgent) -> Any:
    return agent.run("How old?", return_full_result=True).output


@pytest.mark.parametrize("way", [plain, streamed, full_result])
@pytest.mark.parametrize("stream_outputs", [False, True])
def test_every_way_to_run_an_agent_is_one_tree(
    server: ModelServer, captured: Capture, model: OpenAIModel, way: Any, stream_outputs: bool
) -> None:
    server.call_tool("rings", {"tree": "oak"}, id="c1").call_tool("final_answer", {"answer": "112"})

    assert way(calling(model, stream_outputs=stream_outputs)) == "112"

    assert captured.outline() == WHOLE
    root, first, called, last = captured.workflow.steps[:4]
    assert (root.input, root.output) == ("How old?", "112")
    assert (first.model, first.provider) == ("gpt-4o-mini", "openai")
    assert [message["role"] for message in first.input] == ["system", "user"]
    assert first.output["tool_calls"] == [{"id": "c1", "name": "rings", "args": {"tree": "oak"}}]
    assert (called.input, called.output) == ({"tree": "oak"}, "oak: 112")
    assert (called.attributes["tool_call_id"], called.attributes["called_by"]) == ("c1", first.id)
    assert (first.first_token_ms is not None) == stream_outputs
    totals, served = captured.workflow.totals, server.usage_served
    assert (totals.input_tokens, totals.output_tokens) == (served.input_tokens, served.output_tokens)
    assert (totals.llm_calls, totals.failed_steps) == (2, 0)
    assert last.status == "ok"


def test_the_final_answer_is_a_hidden_tool(server: ModelServer, captured: Capture, model: OpenAIModel) -> None:
    server.call_tool("final_answer", {"answer": "112"})

    plain(calling(model))

    assert captured.outline() == "agent forester\n  llm gpt-4o-mini"
    assert captured.outline(hidden=True) == "agent forester\n  llm gpt-4o-mini\n  tool final_answer"


@pytest.mark.parametrize("way", [plain, streamed])
@pytest.mark.parametrize("limited", [True, False])
def test_tools_that_code_calls_are_below_the_code(
    server: ModelServer, captured: Capture, model: OpenAIModel, way: Any, limited: bool
) -> None:
    server.say(code('count = rings(tree="oak")\nfinal_answer(count)'))
    options = {} if limited else {"executor_kwargs": {"timeout_seconds": None}}

    assert way(coding(model, **options)) == "oak: 112"

    assert captured.outline() == CODED
    _, asked, ran, called = captured.workflow.steps[:4]
    assert ran.input == 'count = rings(tree="oak")\nfinal_answer(count)'
    assert ran.output["output"] == "oak: 112"
    assert ran.attributes["called_by"] == asked.id
    assert (called.input, called.output) == ({"tree": "oak"}, "oak: 112")
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_parallel_tools_are_below_their_agent(server: ModelServer, captured: Capture, model: OpenAIModel) -> None:
    server.call_tools([("rings", {"tree": "oak"}), ("rings", {"tree": "elm"})])
    server.call_tool("final_answer", {"answer": "both"})

    plain(calling(model))

    assert captured.outline() == "agent forester\n  llm gpt-4o-mini\n  tool rings\n  tool rings\n  llm gpt-4o-mini"
    tools = [step for step in captured.workflow.steps if step.name == "rings"]
    assert sorted(step.output for step in tools) == ["elm: 112", "oak: 112"]
    assert len({step.attributes["tool_call_id"] for step in tools}) == 2


def test_a_managed_agent_is_below_the_tool_that_is_it(
    server: ModelServer, captured: Capture, model: OpenAIModel
) -> None:
    server.call_tool("counter", {"task": "oak"}).call_tool("rings", {"tree": "oak"})
    server.call_tool("final_answer", {"answer": "112"}).call_tool("final_answer", {"answer": "It is 112."})
    counter = calling(model, name="counter", description="Counts.")

    plain(calling(model, name="boss", tools=[], managed_agents=[counter]))

    assert captured.outline() == (
        "agent boss\n"
        "  llm gpt-4o-mini\n"
        "  tool counter\n"
        "    agent counter\n"
        "      llm gpt-4o-mini\n"
        "      tool rings\n"
        "      llm gpt-4o-mini\n"
        "  llm gpt-4o-mini"
    )


def test_a_managed_agent_that_code_calls_is_below_the_code(
    server: ModelServer, captured: Capture, model: OpenAIModel
) -> None:
    server.say(code('final_answer(counter(task="oak"))')).call_tool("final_answer", {"answer": "112"})
    counter = calling(model, name="counter", description="Counts.")

    plain(coding(model, tools=[], managed_agents=[counter]))

    assert captured.outline() == (
        "agent forester\n  llm gpt-4o-mini\n  tool python_interpreter\n    agent counter\n      llm gpt-4o-mini"
    )


def test_plans_are_model_calls_of_the_agent(server: ModelServer, captured: Capture, model: OpenAIModel) -> None:
    server.say("First look, then count.").call_tool("final_answer", {"answer": "112"})

    plain(calling(model, planning_interval=3))

    assert captured.outline() == "agent forester\n  llm gpt-4o-mini\n  llm gpt-4o-mini"
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


@pytest.mark.parametrize("stream_outputs", [False, True])
def test_the_steps_of_the_sdk_are_below_and_counted_once(
    server: ModelServer, captured: Capture, model: OpenAIModel, stream_outputs: bool
) -> None:
    treerings.instrument("openai")
    server.call_tool("rings", {"tree": "oak"}).call_tool("final_answer", {"answer": "112"})

    plain(calling(model, stream_outputs=stream_outputs))

    assert captured.outline().count("\n    llm ") == 2
    assert captured.workflow.totals.llm_calls == 2
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_a_failing_tool_is_an_error_of_the_tool_only(
    server: ModelServer, captured: Capture, model: OpenAIModel
) -> None:
    class Saw(Tool):  # type: ignore[misc]
        name = "saw"
        description = "Saws."
        inputs: dict[str, Any] = {}  # noqa: RUF012
        output_type = "string"

        def forward(self) -> str:
            raise RuntimeError("the saw is blunt")

    server.call_tool("saw", {}).call_tool("final_answer", {"answer": "It did not work."})

    plain(calling(model, tools=[Saw()]))

    assert captured.outline() == "agent forester\n  llm gpt-4o-mini\n  tool saw error\n  llm gpt-4o-mini"
    assert captured.workflow.steps[2].error == "the saw is blunt"


def test_a_tool_that_does_not_exist_is_an_error(server: ModelServer, captured: Capture, model: OpenAIModel) -> None:
    server.call_tool("axe", {}).call_tool("final_answer", {"answer": "There is none."})

    plain(calling(model))

    assert captured.outline() == "agent forester\n  llm gpt-4o-mini\n  tool axe error\n  llm gpt-4o-mini"


def test_failing_code_is_an_error_of_the_code_only(server: ModelServer, captured: Capture, model: OpenAIModel) -> None:
    server.say(code("1 / 0")).say(code("final_answer(1)"))

    plain(coding(model))

    assert captured.outline() == (
        "agent forester\n  llm gpt-4o-mini\n  tool python_interpreter error\n"
        "  llm gpt-4o-mini\n  tool python_interpreter"
    )


@pytest.mark.parametrize("stream_outputs", [False, True])
def test_a_failing_model_is_an_error_up_to_the_agent(
    server: ModelServer, captured: Capture, model: OpenAIModel, stream_outputs: bool
) -> None:
    server.fail(400, message="no such model")

    with pytest.raises(Exception, match="no such model"):
        plain(calling(model, stream_outputs=stream_outputs))

    assert captured.outline() == "agent forester error\n  llm gpt-4o-mini error"


def test_an_agent_without_steps_left_asks_once_more(server: ModelServer, captured: Capture, model: OpenAIModel) -> None:
    server.call_tool("rings", {"tree": "oak"}).say("Perhaps 112.")

    assert plain(calling(model, max_steps=1)) == "Perhaps 112."

    assert captured.outline() == WHOLE


def test_an_interrupted_agent_is_cancelled(server: ModelServer, captured: Capture, model: OpenAIModel) -> None:
    agent = calling(model, step_callbacks=[lambda _step, agent: agent.interrupt()])
    server.call_tool("rings", {"tree": "oak"})

    with pytest.raises(Exception, match="interrupted"):
        plain(agent)

    assert captured.outline() == "agent forester cancelled\n  llm gpt-4o-mini\n  tool rings"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("leave", ["close", "drop"])
def test_a_stream_that_is_left_is_cancelled(
    server: ModelServer, captured: Capture, model: OpenAIModel, leave: str
) -> None:
    server.say("one two three four five")
    stream = calling(model, stream_outputs=True).run("How old?", stream=True)

    next(stream)
    if leave == "close":
        with pytest.raises(RuntimeError, match="ignored GeneratorExit"):  # smolagents' own, without us as well
            stream.close()
    del stream
    gc.collect()
    end_abandoned()  # as the recorder's worker does

    assert captured.outline() == "agent forester cancelled\n  llm gpt-4o-mini cancelled"


@pytest.mark.parametrize("kind", ["llm", "tool"])
@pytest.mark.parametrize("by_code", [False, True])
def test_a_guard_stops_the_run(
    server: ModelServer, captured: Capture, model: OpenAIModel, kind: str, by_code: bool
) -> None:
    class Guard:
        @treerings.hookimpl
        def step_starting(self, step: treerings.StepStarted) -> None:
            if step.kind == kind and step.name != "python_interpreter":
                raise StopWorkflow("Enough.")

    treerings.register(Guard())
    if by_code:
        server.say(code('rings(tree="oak")')).say(code("final_answer(1)"))
    else:
        server.call_tool("rings", {"tree": "oak"}).call_tool("final_answer", {"answer": "1"})

    with pytest.raises(StopWorkflow, match="Enough"):
        plain(coding(model) if by_code else calling(model))

    assert captured.outline().startswith("agent forester cancelled\n  llm gpt-4o-mini")
    assert len(server.requests) == (0 if kind == "llm" else 1)


class Canned(Model):  # type: ignore[misc]
    """A model of one's own."""

    def generate(self, messages: Any, **kwargs: Any) -> ChatMessage:
        return ChatMessage(
            role=MessageRole.ASSISTANT,
            content=code("final_answer(1)"),
            token_usage=TokenUsage(input_tokens=3, output_tokens=2),
        )


def test_a_model_of_ones_own_is_recorded_even_if_it_is_newer(captured: Capture) -> None:
    class Newer(Canned):
        def generate(self, messages: Any, **kwargs: Any) -> ChatMessage:
            return super().generate(messages, **kwargs)

    plain(coding(Newer(model_id="canned-1")))

    assert captured.outline() == "agent forester\n  llm canned-1\n  tool python_interpreter"
    assert captured.workflow.totals.input_tokens == 3


def test_own_steps_in_a_tool_are_below_it(server: ModelServer, captured: Capture, model: OpenAIModel) -> None:
    @tool
    def measure(tree: str) -> str:
        """Measures a tree.

        Args:
            tree: The tree.
        """
        import treerings

        with treerings.step("task", "tape"):
            return tree

    server.say(code('final_answer(measure(tree="oak"))'))

    plain(coding(model, tools=[measure]))

    assert "    tool measure\n      task tape" in captured.outline()


def test_step_callbacks_of_the_program_are_called_as_before(
    server: ModelServer, captured: Capture, model: OpenAIModel
) -> None:
    server.call_tool("rings", {"tree": "oak"}).call_tool("final_answer", {"answer": "112"})
    seen: list[Any] = []

    plain(calling(model, step_callbacks=[seen.append]))

    assert len(seen) == 2


def test_uninstrument_gives_the_classes_back() -> None:
    places = [
        (MultiStepAgent, "run"),
        (ToolCallingAgent, "execute_tool_call"),
        (Tool, "__call__"),
        (OpenAIModel, "generate"),
        (OpenAIModel, "generate_stream"),
        (LocalPythonExecutor, "__call__"),
        (local_python_executor, "timeout"),
    ]
    before = [vars(owner)[name] for owner, name in places]

    integration.instrument()
    integration.instrument()
    assert all(vars(owner)[name] is not kept for (owner, name), kept in zip(places, before, strict=True))
    integration.uninstrument()

    assert [vars(owner)[name] for owner, name in places] == before


def test_many_runs_leave_nothing_behind(captured: Capture) -> None:
    agent = coding(Canned(model_id="canned-1"))

    for _ in range(60):
        plain(agent)

    assert not RUNS
    assert len(captured.workflows) == 60
