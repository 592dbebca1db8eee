"""Pipelines: what their components are, plain and asynchronous; other tracers beside ours."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import treerings
from haystack import Document, Pipeline, component
from haystack.components.agents import Agent
from haystack.components.builders import ChatPromptBuilder
from haystack.components.embedders import OpenAITextEmbedder
from haystack.components.rankers import LLMRanker
from haystack.components.retrievers import InMemoryBM25Retriever
from haystack.core.errors import PipelineRuntimeError
from haystack.dataclasses import ChatMessage
from haystack.dataclasses.breakpoints import Breakpoint
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.tracing.tracer import Span, Tracer, disable_tracing, enable_tracing, is_tracing_enabled, tracer
from haystack.utils import Secret
from treerings.testing import Capture, ModelServer, capture
from treerings_haystack import integration

OAK = {"prompt": {"tree": "oak"}}


@component
class Growing:
    """A component of the user."""

    @component.output_types(size=int)
    def run(self, start: int) -> dict[str, Any]:
        if start < 0:
            raise ValueError("bad wood")
        with treerings.step("chain", "inner"):
            return {"size": start + 1}


def prompted(generator: Callable[..., Any], *, agent: bool = False) -> Pipeline:
    pipeline = Pipeline()
    pipeline.add_component("prompt", ChatPromptBuilder(template=[ChatMessage.from_user("How old is {{tree}}?")]))
    pipeline.add_component("answer", generator())
    pipeline.connect("prompt.prompt", "answer.messages")
    if agent:
        pipeline.add_component("judge", Agent(chat_generator=generator()))
        pipeline.connect("answer.replies", "judge.messages")
    return pipeline


def growing() -> Pipeline:
    pipeline = Pipeline(metadata={"name": "garden"})
    pipeline.add_component("grow", Growing())
    return pipeline


def run(pipeline: Pipeline, data: dict[str, Any]) -> Any:
    return pipeline.run(data)


def run_async(pipeline: Pipeline, data: dict[str, Any]) -> Any:
    return asyncio.run(pipeline.run_async(data))


both = pytest.mark.parametrize("way", [run, run_async])


@both
def test_a_pipeline_has_its_components(
    server: ModelServer, captured: Capture, generator: Callable[..., Any], way: Callable[..., Any]
) -> None:
    server.say("112").say("Right.")

    way(prompted(generator, agent=True), OAK)

    assert captured.outline(show=("agent",)) == (
        "workflow Pipeline\n  node prompt\n  llm answer\n  agent judge agent=judge\n    llm chat_generator agent=judge"
    )
    assert captured.workflow.steps[0].input == OAK
    answer = captured.step("llm", "answer")
    assert (answer.provider, answer.input[0]["content"], answer.output["content"]) == (
        "openai",
        "How old is oak?",
        "112",
    )
    assert captured.workflow.totals.input_tokens == server.usage_served.input_tokens


def test_embedders_retrievers_and_rankers_are_what_they_are(
    server: ModelServer, captured: Capture, generator: Callable[..., Any]
) -> None:
    store = InMemoryDocumentStore()
    store.write_documents([Document(content="an oak"), Document(content="an old oak")])
    pipeline = Pipeline()
    pipeline.add_component("embed", OpenAITextEmbedder(api_base_url=server.base_url, api_key=Secret.from_token("x")))
    pipeline.add_component("find", InMemoryBM25Retriever(document_store=store))
    pipeline.add_component("sort", LLMRanker(chat_generator=generator()))
    pipeline.connect("find.documents", "sort.documents")
    server.say({"documents": [{"index": 2}, {"index": 1}]})

    pipeline.run({"embed": {"text": "oak"}, "find": {"query": "oak"}, "sort": {"query": "oak"}})

    assert set(captured.outline().splitlines()[1:]) == {
        "  embedding embed",
        "  retriever find",
        "  reranker sort",
        "    llm OpenAIChatGenerator",
    }
    embedding, found = captured.step("embedding"), captured.step("retriever").output["documents"]
    assert embedding.output["vectors"] == 1
    assert (embedding.usage.input_tokens, embedding.model) == (1, "text-embedding-3-small")  # type: ignore[union-attr]
    assert {document["content"] for document in found} == {"an oak", "an old oak"}


@both
def test_own_steps_and_pipelines_hang_in_each_other(captured: Capture, way: Callable[..., Any]) -> None:
    with treerings.step("task", "outer"):
        way(growing(), {"grow": {"start": 1}})

    assert captured.outline() == "task outer\n  workflow garden\n    node grow\n      chain inner"
    assert captured.step("node").output == {"size": 2}


@both
def test_a_component_that_fails_shows_what_it_raised(captured: Capture, way: Callable[..., Any]) -> None:
    with pytest.raises(PipelineRuntimeError):
        way(growing(), {"grow": {"start": -1}})

    assert captured.outline() == "workflow garden error\n  node grow error"
    assert (captured.step("node").error_type, captured.step("node").error) == ("ValueError", "bad wood")


def test_a_breakpoint_is_an_interrupt(captured: Capture) -> None:
    with pytest.raises(Exception, match="grow"):
        growing().run({"grow": {"start": 1}}, break_point=Breakpoint(component_name="grow"))

    assert captured.workflow.steps[0].status == "interrupted"


async def test_the_consumer_of_partial_results_keeps_its_own_context(captured: Capture) -> None:
    pipeline = growing()
    pipeline.add_component("again", Growing())
    pipeline.connect("grow.size", "again.start")
    async for _ in pipeline.run_async_generator({"grow": {"start": 1}}):
        with treerings.step("chain", "consumer"):
            assert tracer.current_span() is None

    assert {workflow.name for workflow in captured.workflows} == {"garden", "consumer"}
    assert captured.workflows[0].totals.failed_steps == 0


async def test_partial_results_that_nobody_reads_on_are_cancelled(captured: Capture) -> None:
    pipeline = growing()
    pipeline.add_component("again", Growing())
    pipeline.connect("grow.size", "again.start")
    results: Any = pipeline.run_async_generator({"grow": {"start": 1}}, include_outputs_from={"grow"})
    await anext(results)
    await results.aclose()

    assert captured.workflow.steps[0].status == "cancelled"


def test_a_step_of_the_models_sdk_is_below_the_call_and_is_counted_once(
    server: ModelServer, captured: Capture, generator: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from openai.resources.chat.completions import Completions

    create = Completions.create

    def watched(self: Any, **kwargs: Any) -> Any:
        with treerings.step("llm", "sdk", model="gpt-4o-mini", provider="openai") as call:
            answer = create(self, **kwargs)
            call.set(usage=treerings.Usage.from_provider(answer))
            return answer

    monkeypatch.setattr(Completions, "create", watched)
    server.say("112")

    prompted(generator).run(OAK)

    assert captured.outline().splitlines()[-2:] == ["  llm answer", "    llm sdk"]
    totals = captured.workflow.totals
    assert (totals.llm_calls, totals.input_tokens) == (1, server.usage_served.input_tokens)


class Notes(Tracer):
    """Another tracer, as a user may have one."""

    class Note(Span):
        def __init__(self, name: str) -> None:
            self.name = name
            self.tags: dict[str, Any] = {}

        def set_tag(self, key: str, value: Any) -> None:
            self.tags[key] = value

        def get_correlation_data_for_logs(self) -> dict[str, Any]:
            return {"name": self.name}

    def __init__(self) -> None:
        self.spans: list[tuple[Notes.Note, Any]] = []
        self.around: list[Notes.Note] = []

    @contextlib.contextmanager
    def trace(
        self, operation_name: str, tags: dict[str, Any] | None = None, parent_span: Span | None = None
    ) -> Iterator[Span]:
        span = Notes.Note(operation_name)
        self.spans.append((span, parent_span))
        self.around.append(span)
        try:
            yield span
        finally:
            self.around.pop()

    def current_span(self) -> Span | None:
        return self.around[-1] if self.around else None


@pytest.fixture
def notes() -> Iterator[Notes]:
    notes = Notes()
    enable_tracing(notes)
    yield notes
    disable_tracing()


def test_a_tracer_that_was_there_is_told_everything_and_is_the_tracer_again_afterwards(notes: Notes) -> None:
    with capture():
        bare = growing().run({"grow": {"start": 1}})
    told_bare = [(span.name, getattr(parent, "name", None), span.tags) for span, parent in notes.spans]
    notes.spans.clear()
    with capture() as captured:
        integration.instrument()
        result = growing().run({"grow": {"start": 1}})
        integration.uninstrument()

    assert result == bare
    assert [(span.name, getattr(parent, "name", None), span.tags) for span, parent in notes.spans] == told_bare
    assert {type(parent) for _, parent in notes.spans} <= {Notes.Note, type(None)}
    assert tracer.actual_tracer is notes
    assert captured.outline() == "workflow garden\n  node grow\n    chain inner"


def test_contents_reach_another_tracer_only_where_haystack_says_so(
    notes: Notes, captured: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing().run({"grow": {"start": 1}})
    without = dict(notes.spans[-1][0].tags)
    monkeypatch.setattr(tracer, "is_content_tracing_enabled", True)
    growing().run({"grow": {"start": 1}})

    assert "haystack.component.output" not in without
    assert notes.spans[-1][0].tags["haystack.component.output"] == {"size": 2}
    assert [step.output for step in captured.steps if step.kind == "node"] == [{"size": 2}] * 2


def test_a_span_gives_what_the_other_tracers_span_has(notes: Notes, captured: Capture) -> None:
    with tracer.trace("haystack.component.run", tags={"haystack.component.name": "x"}) as span:
        assert span.raw_span() is notes.spans[-1][0]
        assert span.get_correlation_data_for_logs() == {"name": "haystack.component.run"}
        assert span.tags == {}  # type: ignore[attr-defined]


def test_instrument_twice_is_once_and_after_the_tracer_was_replaced_takes_its_place(captured: Capture) -> None:
    def recorded() -> int:
        growing().run({"grow": {"start": 1}})
        return len([workflow for workflow in captured.workflows if workflow.name == "garden"])

    notes = Notes()
    integration.instrument()
    before = recorded()
    enable_tracing(notes)
    replaced = recorded()
    integration.instrument()
    again = recorded()
    integration.uninstrument()
    after = tracer.actual_tracer
    disable_tracing()

    assert (before, replaced, again) == (1, 1, 2)
    assert after is notes


def test_uninstrument_leaves_haystack_without_a_tracer(captured: Capture) -> None:
    integration.uninstrument()
    growing().run({"grow": {"start": 1}})

    assert not is_tracing_enabled()
    assert [workflow.name for workflow in captured.workflows] == ["inner"]


def test_a_thousand_runs_leave_nothing_behind(captured: Capture) -> None:
    pipeline = growing()
    for number in range(1_000):
        with contextlib.suppress(PipelineRuntimeError):
            pipeline.run({"grow": {"start": 1 if number % 2 else -1}})
    captured.finish()

    assert tracer.current_span() is None
    assert captured.recorder.report().dropped == 0
    assert len(captured.recorder._forest) == 0
