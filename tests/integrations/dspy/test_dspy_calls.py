"""Modules, agents, models and tools of dspy: their tree, usage, caches, threads, failures."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import dspy  # type: ignore[import-untyped]
import pytest
import treerings
from dspy.dsp.utils.settings import Settings  # type: ignore[import-untyped]
from dspy.utils.callback import BaseCallback  # type: ignore[import-untyped]
from treerings import StopWorkflow, runtime
from treerings.testing import Answer, Capture, ModelServer
from treerings_dspy import TreeringsCallback, integration
from treerings_dspy.callback import _last_calls, _open


def fields(**values: str) -> str:
    """An answer with these fields, in the words of dspy's chat adapter."""
    listed = [f"[[ ## {name} ## ]]\n{value}\n\n" for name, value in values.items()]
    return "".join(listed) + "[[ ## completed ## ]]"


ANSWER = fields(answer="112")
CALL = fields(next_thought="count", next_tool_name="rings", next_tool_args='{"tree": "oak"}')
FINISH = fields(next_thought="done", next_tool_name="finish", next_tool_args="{}")
THINK = fields(reasoning="it is old", answer="112")


def rings(tree: str) -> str:
    """Count the rings of a tree."""
    return f"{tree}: 112"


def predict(**options: Any) -> Any:
    return dspy.Predict("question -> answer", **options)


def call(module: Any) -> Any:
    return module(question="How old?").answer


def acall(module: Any) -> Any:
    return asyncio.run(module.acall(question="How old?")).answer


both = pytest.mark.parametrize("way", [call, acall])


@both
def test_an_agent_is_one_tree_with_each_call_counted_once(
    server: ModelServer, captured: Capture, lm: Callable[..., Any], way: Callable[[Any], Any]
) -> None:
    lm(temperature=0.5)
    server.say(CALL).say(FINISH).say(THINK)

    assert way(dspy.ReAct("question -> answer", tools=[rings])) == "112"

    assert captured.outline() == (
        "agent ReAct\n  chain Predict\n    llm LM\n  tool rings\n  chain Predict\n    llm LM\n  tool finish\n"
        "  chain ChainOfThought\n    chain Predict\n      llm LM"
    )
    assert "chain ChatAdapter.parse" in captured.outline(hidden=True)
    steps = captured.workflow.steps
    first, tool = next(step for step in steps if step.kind == "llm"), captured.step("tool", "rings")
    assert steps[0].input == {"question": "How old?"}
    assert steps[0].output["answer"] == "112"
    assert (tool.input, tool.output, tool.attributes["called_by"]) == ({"tree": "oak"}, "oak: 112", first.id)
    assert (first.model, first.provider, first.attributes["request"]) == ("gpt-4o-mini", "openai", {"temperature": 0.5})
    assert first.output == CALL
    totals, served = captured.workflow.totals, server.usage_served
    assert (totals.input_tokens, totals.output_tokens) == (served.input_tokens, served.output_tokens)
    assert totals.llm_calls == 3


def test_no_key_is_recorded(server: ModelServer, captured: Capture, lm: Callable[..., Any]) -> None:
    lm(api_key="sk-very-secret")
    server.say(ANSWER)

    call(predict())

    assert "very-secret" not in repr(captured.steps)


def test_an_answer_out_of_the_cache_costs_nothing(
    server: ModelServer, captured: Capture, lm: Callable[..., Any]
) -> None:
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=True)
    lm()
    server.say(ANSWER)

    call(predict())
    call(predict())

    first, second = [step for step in captured.steps if step.kind == "llm"]
    assert (first.usage.cache_hit, second.usage.cache_hit) == (False, True)  # type: ignore[union-attr]
    assert (first.cost_usd or 0) > 0
    assert second.cost_usd == 0


def test_usage_that_was_not_reported_is_estimated(
    server: ModelServer, captured: Capture, lm: Callable[..., Any]
) -> None:
    lm()
    server.reply(Answer(ANSWER, report_usage=False))

    call(predict())

    assert captured.step("llm").estimated


def test_several_answers_of_one_call_are_counted_once(
    server: ModelServer, captured: Capture, lm: Callable[..., Any]
) -> None:
    lm()
    server.reply(Answer(ANSWER, alternatives=(ANSWER,)), times=None)

    predict(n=2)(question="How old?")

    assert captured.workflow.totals.llm_calls == 1
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_calls_of_one_model_at_once_have_their_own_usage(
    server: ModelServer, captured: Capture, lm: Callable[..., Any]
) -> None:
    lm()
    server.reply(lambda request: Answer(ANSWER, usage={"input_tokens": request.text.count("how ")}), times=None)
    module = predict()
    pairs = [(module, dspy.Example(question="how " * number).with_inputs("question")) for number in range(1, 9)]

    with treerings.labels(session_id="s-41"), treerings.step("task", "outer"):
        dspy.Parallel(num_threads=4, disable_progress_bar=True)(pairs)

    calls = [step for step in captured.workflow.steps if step.kind == "llm"]
    assert captured.outline().startswith("task outer\n  chain Predict\n    llm LM\n  chain Predict")
    counted = [step.usage.input_tokens for step in calls]  # type: ignore[union-attr]
    assert counted == [repr(step.input).count("how ") for step in calls]
    assert sorted(counted) == list(range(1, 9))
    assert {step.session_id for step in calls} == {"s-41"}


def test_an_evaluation_has_its_examples_below_it(
    server: ModelServer, captured: Capture, lm: Callable[..., Any]
) -> None:
    lm()
    server.say(ANSWER, times=None)
    devset = [dspy.Example(question=name, answer="112").with_inputs("question") for name in "ab"]

    dspy.Evaluate(devset=devset, metric=lambda *_: True, num_threads=2, display_progress=False)(predict())

    assert captured.outline() == "workflow Evaluate\n  chain Predict\n    llm LM\n  chain Predict\n    llm LM"
    assert captured.workflow.steps[0].output == {"score": 100.0}


@both
def test_own_steps_and_modules_hang_in_each_other(
    server: ModelServer, captured: Capture, lm: Callable[..., Any], way: Callable[[Any], Any]
) -> None:
    class Own(dspy.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.ask = predict()

        def forward(self, question: str) -> Any:
            with treerings.step("task", "own"):
                return self.ask(question=question)

        async def aforward(self, question: str) -> Any:
            with treerings.step("task", "own"):
                return await self.ask.acall(question=question)

    lm()
    server.say(ANSWER)

    with treerings.step("workflow", "outer"):
        way(Own())

    assert captured.outline() == "workflow outer\n  chain Own\n    task own\n      chain Predict\n        llm LM"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_step_of_the_models_sdk_is_below_the_call_and_is_counted_once(captured: Capture) -> None:
    class Own(dspy.BaseLM):  # type: ignore[misc]
        def forward(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> Any:
            with treerings.step("llm", "sdk", model="own", provider="openai") as sdk:
                sdk.set(usage=treerings.Usage(input_tokens=7, output_tokens=2))
            message = SimpleNamespace(content="112", reasoning_content=None, tool_calls=None)
            usage = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
            return SimpleNamespace(choices=[SimpleNamespace(message=message)], usage=usage, model="own")

    assert Own("own")("How old?") == ["112"]

    assert captured.outline(show=("input_tokens",)) == "llm Own input_tokens=7\n  llm sdk input_tokens=7"
    assert (captured.workflow.totals.llm_calls, captured.workflow.totals.input_tokens) == (1, 7)


async def test_a_stream_is_recorded_and_its_consumer_keeps_its_own_context(
    server: ModelServer, captured: Capture, lm: Callable[..., Any]
) -> None:
    lm()
    server.say(ANSWER)
    listener = dspy.streaming.StreamListener(signature_field_name="answer")
    program = dspy.streamify(predict(), stream_listeners=[listener])

    async for _ in program(question="How old?"):
        with treerings.step("chain", "consumer"):
            pass

    trees = [workflow for workflow in captured.workflows if workflow.name != "consumer"]
    assert [step.kind for step in trees[0].steps if not step.attributes.get("hidden")][-1] == "llm"
    assert all("consumer" not in {step.name for step in tree.steps} for tree in trees)
    assert trees[0].totals.input_tokens == server.usage_served.input_tokens


@both
def test_a_model_that_fails_is_an_error(
    server: ModelServer, captured: Capture, lm: Callable[..., Any], way: Callable[[Any], Any]
) -> None:
    lm()
    server.fail(400, message="no wood", times=None)

    with pytest.raises(Exception, match="no wood"):
        way(predict())

    assert captured.workflow.status == "error"
    assert captured.outline().startswith("workflow Predict error\n  llm LM error")


def test_a_tool_that_fails_is_an_error_and_its_agent_ok(
    server: ModelServer, captured: Capture, lm: Callable[..., Any]
) -> None:
    def rings(tree: str) -> str:
        raise ValueError("bad wood")

    lm()
    server.say(CALL).say(FINISH).say(THINK)

    call(dspy.ReAct("question -> answer", tools=[rings]))

    tool = captured.step("tool", "rings")
    assert (tool.status, tool.error, captured.workflow.status) == ("error", "bad wood", "ok")


async def test_a_cancelled_task_is_cancelled(server: ModelServer, captured: Capture, lm: Callable[..., Any]) -> None:
    started = asyncio.Event()

    async def rings(tree: str) -> str:
        started.set()
        await asyncio.Event().wait()
        return tree

    lm()
    server.say(CALL)
    task = asyncio.create_task(dspy.ReAct("question -> answer", tools=[rings]).acall(question="How old?"))
    await started.wait()
    task.cancel()
    await asyncio.wait([task])

    assert captured.outline() == "agent ReAct cancelled\n  chain Predict\n    llm LM\n  tool rings cancelled"


class Guard:
    @treerings.hookimpl
    def step_starting(self, step: Any) -> None:
        if step.kind == "llm":
            raise StopWorkflow("no model today")


@both
def test_a_guard_stops_the_run_before_the_model_is_asked(
    server: ModelServer, captured: Capture, lm: Callable[..., Any], way: Callable[[Any], Any]
) -> None:
    lm()
    name = runtime.register(Guard())
    try:
        with pytest.raises(StopWorkflow, match="no model today"):
            way(dspy.ChainOfThought("question -> answer"))
    finally:
        runtime.unregister(name)

    assert server.requests == []
    assert captured.outline().splitlines()[0] == "workflow ChainOfThought cancelled"
    assert {step.status for step in captured.steps if not step.attributes.get("hidden")} == {"cancelled"}


class Notes(BaseCallback):  # type: ignore[misc]
    """A callback of the user's."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_lm_start(self, call_id: str, instance: Any, inputs: Any) -> None:
        self.told.append(call_id)


def test_the_users_callbacks_are_told_and_stay_in_the_settings(
    server: ModelServer, captured: Capture, lm: Callable[..., Any]
) -> None:
    notes = Notes()
    lm()
    dspy.configure(callbacks=[notes])
    server.say(ANSWER).say(ANSWER)
    call(predict())
    integration.uninstrument()
    call(predict())

    assert len(notes.told) == 2
    assert dspy.settings.callbacks == [notes]
    assert captured.outline() == "workflow Predict\n  llm LM"


def test_instrumenting_does_not_make_its_thread_the_owner_of_the_settings(captured: Capture) -> None:
    failed: list[BaseException] = []

    def configure() -> None:
        try:
            dspy.configure(num_threads=2)
        except RuntimeError as error:
            failed.append(error)

    integration.instrument()
    thread = threading.Thread(target=configure)
    thread.start()
    thread.join()

    assert failed == []


def test_a_callback_that_is_given_to_a_context_records_and_beside_instrument_it_records_once(
    server: ModelServer, captured: Capture, lm: Callable[..., Any]
) -> None:
    lm()
    server.say(ANSWER).say(ANSWER)
    with dspy.context(callbacks=[TreeringsCallback()]):
        call(predict())
        integration.uninstrument()
        call(predict())

    assert captured.outline() == "workflow Predict\n  llm LM\n\nworkflow Predict\n  llm LM"


def test_uninstrument_gives_the_methods_back_and_instrument_twice_is_once(
    server: ModelServer, captured: Capture, lm: Callable[..., Any]
) -> None:
    integration.instrument()
    integration.uninstrument()
    lm()
    server.say(ANSWER)
    call(predict())

    assert not hasattr(Settings.get, "__wrapped__")
    assert dspy.settings.get("callbacks") == []
    assert captured.workflows == []


def test_a_failure_of_ours_does_not_reach_the_program(
    server: ModelServer, captured: Capture, lm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("a bug of ours")

    lm()
    server.say(ANSWER, times=None)
    for method in ("start", "end"):
        with monkeypatch.context() as patch:
            patch.setattr(captured.recorder, method, broken)
            assert call(predict()) == "112"


def test_a_thousand_calls_leave_nothing_behind(captured: Capture) -> None:
    class Own(dspy.Module):  # type: ignore[misc]
        def forward(self, number: int) -> int:
            if number % 2:
                raise ValueError("bad wood")
            return number

    module = Own()
    for number in range(1_000):
        try:
            module(number=number)
        except ValueError:
            pass
    captured.finish()

    assert (len(_open), len(_last_calls), len(captured.recorder._forest)) == (0, 0, 0)
    assert captured.recorder.report().dropped == 0
