"""Callbacks into events: what each LangChain callback says about a step."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from treerings import Kind, Recorder, Status
from treerings.context import OpenStep
from treerings.snapshot import snapshot
from treerings.usage import Usage

from . import payloads
from .metadata import NO_METADATA, attributes_of, labels_of, request_of, serialized_name, thread_of
from .outcome import Failures, refused_answer, said_before, status_of
from .parents import find_parent, inside
from .runs import Run, Runs
from .structure import child_of_graph, classify, is_plumbing, node_ended
from .usage import Batches, facts_of, not_added_up

__all__ = ["RUNS", "Translator"]

RUNS = Runs()
FAILURES = Failures()
BATCHES = Batches()
"""All are shared by all handlers of the process."""

SOURCE = "langchain"


class Translator:
    """Says to a recorder what the callbacks say. One for each handler; all share the runs."""

    def __init__(self, runs: Runs, labels: Mapping[str, str] | None = None) -> None:
        self.runs = runs
        self.labels = labels
        self._asked: payloads.Serialize | None = None
        self._serialize: payloads.Serialize = payloads.plain

    # -- starts ---------------------------------------------------------------------------------------------------

    def chain_started(
        self,
        recorder: Recorder,
        serialized: Mapping[str, Any] | None,
        inputs: Any,
        run_id: UUID,
        parent_run_id: UUID | None,
        tags: Sequence[str] | None,
        metadata: Mapping[str, Any] | None,
        given_name: str | None,
        run_type: str | None,
        streams: bool,
    ) -> None:
        told = inputs if metadata is None else metadata
        if self.runs.repeated(run_id, told):
            return
        metadata = metadata or NO_METADATA
        parent_step, parent = find_parent(self.runs, parent_run_id, metadata)
        name = given_name or serialized_name(serialized) or "chain"
        if metadata or run_type is not None or (parent is not None and parent.checkpoint_ns is not None):
            kind, shown_name = classify(name, tags, metadata, parent, is_root=parent_step is None)
            hidden = is_plumbing(kind, name, run_type, tags, parent)
        else:  # a chain outside of graphs and agents
            kind, shown_name = Kind.WORKFLOW if parent_step is None else Kind.CHAIN, name
            hidden = tags is not None and "langsmith:hidden" in tags
        attributes = attributes_of(tags, metadata, parent_run_id, parent)
        if hidden:
            attributes["hidden"] = True
        if kind is Kind.NODE and parent is not None:
            _count_attempt(parent, metadata.get("langgraph_checkpoint_ns"), attributes)
        thread_id = parent.thread_id if parent is not None else None
        run = Run(None, parent, name, told)  # type: ignore[arg-type]  # set below: payloads need the run first
        if metadata:
            thread_id = thread_of(metadata, parent)
            if thread_id is not None and (parent is None or parent.thread_id is None):
                self._link_resume(thread_id, inputs, attributes)
            run.agent_name = metadata.get("lc_agent_name")
            run.checkpoint_ns = metadata.get("langgraph_checkpoint_ns")
            run.integration = metadata.get("ls_integration")
            run.is_node = kind is Kind.NODE
            run.is_agent = kind is Kind.AGENT
        run.thread_id = thread_id
        run.hidden = hidden
        run.closes_early = streams
        placeholder = streams and _is_placeholder(inputs)  # the real input comes with the end
        run.step = recorder.start(
            kind,
            shown_name,
            source=SOURCE,
            parent=parent_step,
            input=None if placeholder else payloads.state(inputs, run, self._serializer(recorder)),
            labels=labels_of(metadata, parent, thread_id, self.labels),
            attributes=attributes or None,
        )
        self.runs.add(run_id, run)
        child_of_graph(recorder, run, metadata)

    def model_started(
        self,
        recorder: Recorder,
        serialized: Mapping[str, Any] | None,
        inputs: Any,
        run_id: UUID,
        parent_run_id: UUID | None,
        tags: Sequence[str] | None,
        metadata: Mapping[str, Any] | None,
        given_name: str | None,
        parameters: Mapping[str, Any] | None,
        chat: bool,
    ) -> None:
        told = inputs if metadata is None else metadata
        if self.runs.repeated(run_id, told):
            return
        metadata = metadata or NO_METADATA
        parameters = parameters or NO_METADATA
        parent_step, parent = find_parent(self.runs, parent_run_id, metadata)
        model = metadata.get("ls_model_name") or parameters.get("model") or parameters.get("model_name")
        name = given_name or serialized_name(serialized) or "model"
        attributes = attributes_of(tags, metadata, parent_run_id, parent)
        if request := request_of(parameters):
            attributes["request"] = request
        serialize = self._serializer(recorder)
        if chat:
            taken: Any = payloads.messages(inputs[0], parent, serialize) if inputs else None
        else:
            taken = snapshot(inputs[0] if len(inputs) == 1 else inputs)
        provider = metadata.get("ls_provider")
        run = self._start(
            recorder,
            Kind.LLM,
            name,
            run_id,
            told,
            parent_step,
            parent,
            metadata,
            taken,
            attributes,
            model=str(model) if model else None,
            provider=str(provider) if provider else None,
        )
        run.is_chat = chat
        run.root.open_calls += 1
        inside(run)

    def tool_started(
        self,
        recorder: Recorder,
        serialized: Mapping[str, Any] | None,
        input_text: str,
        run_id: UUID,
        parent_run_id: UUID | None,
        tags: Sequence[str] | None,
        metadata: Mapping[str, Any] | None,
        given_name: str | None,
        inputs: Any,
        tool_call_id: str | None,
    ) -> None:
        told = input_text if metadata is None else metadata
        if self.runs.repeated(run_id, told):
            return
        metadata = metadata or NO_METADATA
        parent_step, parent = find_parent(self.runs, parent_run_id, metadata)
        attributes = attributes_of(tags, metadata, parent_run_id, parent)
        if tool_call_id:
            attributes["tool_call_id"] = tool_call_id
            if caller := self._caller(parent, tool_call_id):
                attributes["called_by"] = caller
        destination = metadata.get("__handoff_destination")
        if destination:
            attributes["handoff_to"] = str(destination)
        name = given_name or serialized_name(serialized) or "tool"
        taken = snapshot(inputs if inputs is not None else input_text, serialize=self._serializer(recorder))
        self._start(
            recorder,
            Kind.HANDOFF if destination else Kind.TOOL,
            name,
            run_id,
            told,
            parent_step,
            parent,
            metadata,
            taken,
            attributes,
        )

    def retriever_started(
        self,
        recorder: Recorder,
        serialized: Mapping[str, Any] | None,
        query: str,
        run_id: UUID,
        parent_run_id: UUID | None,
        tags: Sequence[str] | None,
        metadata: Mapping[str, Any] | None,
        given_name: str | None,
    ) -> None:
        told = query if metadata is None else metadata
        if self.runs.repeated(run_id, told):
            return
        metadata = metadata or NO_METADATA
        parent_step, parent = find_parent(self.runs, parent_run_id, metadata)
        name = given_name or serialized_name(serialized) or metadata.get("ls_retriever_name") or "retriever"
        attributes = attributes_of(tags, metadata, parent_run_id, parent)
        run = self._start(
            recorder,
            Kind.RETRIEVER,
            str(name),
            run_id,
            told,
            parent_step,
            parent,
            metadata,
            snapshot(query),
            attributes,
        )
        inside(run)

    def _start(
        self,
        recorder: Recorder,
        kind: Kind,
        name: str,
        run_id: UUID,
        told: object,
        parent_step: OpenStep | None,
        parent: Run | None,
        metadata: Mapping[str, Any],
        taken: Any,
        attributes: dict[str, Any],
        *,
        model: str | None = None,
        provider: str | None = None,
    ) -> Run:
        thread_id = thread_of(metadata, parent)
        step = recorder.start(
            kind,
            name,
            source=SOURCE,
            parent=parent_step,
            input=taken,
            model=model,
            provider=provider,
            labels=labels_of(metadata, parent, thread_id, self.labels),
            attributes=attributes or None,
        )
        run = Run(step, parent, name, told)
        run.agent_name = metadata.get("lc_agent_name")
        run.integration = (
            parent.integration if kind is Kind.LLM and parent is not None else metadata.get("ls_integration")
        )
        run.checkpoint_ns = metadata.get("langgraph_checkpoint_ns")
        run.thread_id = thread_id
        self.runs.add(run_id, run)
        if parent is None:
            self.runs.watch(recorder, run_id, run)
        return run

    # -- ends -----------------------------------------------------------------------------------------------------

    def chain_ended(self, recorder: Recorder, outputs: Any, run_id: UUID, inputs: Any) -> None:
        run = self._ended(recorder, run_id, Kind.CHAIN)
        if run is None:
            return
        if run.is_node:
            node_ended(recorder, run, outputs)
        serialize = self._serializer(recorder)
        status, attributes = Status.OK, None
        if run.interrupted:
            status = Status.INTERRUPTED
        elif run.closes_early and run.root is run and run.open_calls > 0:
            status, attributes = Status.CANCELLED, {"closed_early": True}
        recorder.end(
            run.step,
            status=status,
            output=payloads.state(outputs, run, serialize),
            input=None if inputs is None else payloads.state(inputs, run, serialize),
            attributes=attributes,
        )
        self._let_go(run)

    def model_ended(self, recorder: Recorder, response: Any, run_id: UUID) -> None:
        run = self._ended(recorder, run_id, Kind.LLM)
        if run is None:
            return
        run.root.open_calls -= 1
        usage, model, reason = facts_of(response)
        if usage is not None and run.streamed:
            usage = not_added_up(run, usage)
        attributes: dict[str, Any] | None = {"finish_reason": reason} if reason else None
        if usage is not None and usage.cache_hit:
            attributes = {**(attributes or {}), "cache_hit": True}
        if usage is None and (first := BATCHES.first_of(run, response)) is not None:
            usage = Usage(input_tokens=0, output_tokens=0)
            attributes = {**(attributes or {}), "usage_with": first.step.id}
        elif usage is not None and not run.is_chat:
            BATCHES.billed(run)
        self._remember_tool_calls(run, response)
        recorder.end(
            run.step,
            output=payloads.answer(response, run, self._serializer(recorder)),
            usage=usage,
            model=model,
            attributes=attributes,
        )
        self._let_go(run)

    def tool_ended(self, recorder: Recorder, output: Any, run_id: UUID) -> None:
        run = self._ended(recorder, run_id, Kind.TOOL)
        if run is None:
            return
        taken = payloads.state(output, run, self._serializer(recorder))
        if payloads.is_failed_tool(output):
            # the tool handled its failure itself and gave the model a message about it
            attributes = {"handled": True}
            recorder.end(
                run.step,
                status=Status.ERROR,
                output=taken,
                error=HandledToolError(output.content),
                attributes=attributes,
            )
        elif payloads.is_handoff(output):
            target = output.goto if type(output.goto) is str else None
            recorder.end(
                run.step, output=taken, kind=Kind.HANDOFF, attributes={"handoff_to": target} if target else None
            )
        else:
            recorder.end(run.step, output=taken)
        self._let_go(run)

    def retriever_ended(self, recorder: Recorder, documents: Any, run_id: UUID) -> None:
        run = self._ended(recorder, run_id, Kind.RETRIEVER)
        if run is None:
            return
        recorder.end(run.step, output=snapshot(documents, serialize=self._serializer(recorder)))
        self._let_go(run)

    def failed(
        self,
        recorder: Recorder,
        error: BaseException,
        run_id: UUID,
        kind: Kind,
        response: Any = None,
        inputs: Any = None,
    ) -> None:
        run = self._ended(recorder, run_id, kind)
        if run is None:
            return
        status, attributes = status_of(error)
        serialize = self._serializer(recorder)
        usage, model, output = None, None, None
        if kind is Kind.LLM:
            run.root.open_calls -= 1
            if response is not None and (said := said_before(response)) is not None:
                usage, model, _ = facts_of(said)
                output = payloads.answer(said, run, serialize)
            elif response is not None and (body := refused_answer(response)) is not None:
                usage, model = Usage.from_provider(body), body.get("model")
                output = snapshot(body, serialize=serialize)
        if status is Status.INTERRUPTED:
            interrupt(run)
        elif status is Status.ERROR and (other := FAILURES.elsewhere(run, error)) is not None and run.root is run:
            attributes = {"failed_with": other.step.workflow_id}
        shown = error if status not in (Status.OK, Status.INTERRUPTED) else None
        recorder.end(
            run.step,
            status=status,
            error=shown,
            usage=usage,
            model=model,
            output=output,
            input=None if inputs is None else payloads.state(inputs, run, serialize),
            attributes=attributes,
        )
        self._let_go(run)

    def end_abandoned(self, recorder: Recorder) -> None:
        """End the models, tools and retrievers at the root whose task was cancelled: no callback says so."""
        for watched in self.runs.abandoned(recorder):
            self.failed(recorder, asyncio.CancelledError(), watched.run_id, watched.run.step.kind)

    def token(self, recorder: Recorder, run_id: UUID) -> None:
        """The first token of a streamed answer."""
        run = self.runs.open(run_id)
        if run is not None and not run.first_token:
            run.first_token = True
            recorder.update(run.step, first_token_ns=recorder.clock.monotonic_ns())

    # -- small things ---------------------------------------------------------------------------------------------

    def _ended(self, recorder: Recorder, run_id: UUID, kind: Kind) -> Run | None:
        """The run that ends; None if its end was told before. An end without a start makes a step of no length."""
        run = self.runs.end(run_id)
        if run is not None:
            return run
        if self.runs.known(run_id) is not None:
            return None
        parent_step, parent = find_parent(self.runs, None, NO_METADATA)
        step = recorder.start(
            kind, str(kind), source=SOURCE, parent=parent_step, labels=self.labels, attributes={"start_not_seen": True}
        )
        run = Run(step, parent, str(kind), None)
        if kind is Kind.LLM:
            run.root.open_calls += 1
        self.runs.add(run_id, run)
        return self.runs.end(run_id)

    def _let_go(self, run: Run) -> None:
        if run.root is run:
            run.seen = run.prompted = None
        if run.thread_id is not None and (run.parent is None or run.parent.thread_id is None):
            self.runs.remember_thread(run)

    def _link_resume(self, thread_id: str, inputs: Any, attributes: dict[str, Any]) -> None:
        """Link a run that takes up an interrupted run of its thread to that run's workflow."""
        before = self.runs.thread(thread_id)
        if before is not None and before[1] and (inputs is None or type(inputs).__name__ == "Command"):
            attributes["resumes"] = before[0]

    def _caller(self, parent: Run | None, tool_call_id: str) -> str | None:
        """The id of the model call that asked for this tool call: the nearest agent's, the workflow's, or one of the thread's
        run before, which was interrupted in the tool.
        """
        run, thread_id = parent, None
        while run is not None:
            if run.tool_calls is not None and tool_call_id in run.tool_calls:
                return run.tool_calls[tool_call_id]
            thread_id = thread_id or run.thread_id
            run = run.parent
        if parent is not None and tool_call_id in (known := parent.root.all_tool_calls or {}):
            return known[tool_call_id]
        before = self.runs.thread(thread_id)
        return before[2].get(tool_call_id) if before is not None else None

    def _remember_tool_calls(self, run: Run, response: Any) -> None:
        """Keep who asked for these calls; at 5,000 of an agent, or of a workflow, the memory begins anew."""
        try:
            calls = response.generations[0][0].message.tool_calls
            if not calls:
                return
            asked = {call["id"]: run.step.id for call in calls if call["id"]}
        except Exception:  # a text, nothing, or an object that only looks like a result
            return
        if not asked:
            return
        scope = run.parent or run
        while scope.parent is not None and not (scope.is_graph or scope.is_agent):
            scope = scope.parent
        if scope.tool_calls is None or len(scope.tool_calls) > 5_000:
            scope.tool_calls = {}
        scope.tool_calls.update(asked)
        root = run.root
        if root.all_tool_calls is None or len(root.all_tool_calls) > 5_000:
            root.all_tool_calls = {}
        root.all_tool_calls.update(asked)

    def _serializer(self, recorder: Recorder) -> payloads.Serialize:
        ask = recorder.serialize
        if ask is not self._asked:
            self._asked = ask
            self._serialize = payloads.plain if ask is None else payloads.plain_or(ask)
        return self._serialize


class HandledToolError(Exception):
    """What a tool told the model about its own failure."""

    def __init__(self, content: Any) -> None:
        super().__init__(content if isinstance(content, str) else str(snapshot(content)))


HandledToolError.__qualname__ = "ToolError"


def _is_placeholder(inputs: Any) -> bool:
    """Whether this is `{"input": ""}`, without asking the values of others whether they are equal to something."""
    return type(inputs) is dict and len(inputs) == 1 and type(text := inputs.get("input")) is str and not text


def interrupt(run: Run) -> None:
    """Mark the runs around an interrupt: those that end without an exception are interrupted too."""
    item: Run | None = run
    while item is not None and not item.interrupted:
        item.interrupted = True
        item = item.parent


def _count_attempt(graph: Run, checkpoint_ns: str | None, attributes: dict[str, Any]) -> None:
    """Number the attempts of a node with a retry policy: they share the task's namespace."""
    if not checkpoint_ns:
        return
    if graph.attempts is None:
        graph.attempts = {}
    attempt = graph.attempts[checkpoint_ns] = graph.attempts.get(checkpoint_ns, 0) + 1
    if attempt > 1:
        attributes["attempt"] = attempt
