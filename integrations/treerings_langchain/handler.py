"""The callback handler: receives LangChain's callbacks, inline, and hands them to the translator."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from treerings import Kind, Recorder, StopWorkflow, runtime
from treerings.context import add_ambient
from treerings.recorder import add_caretaker

from .parents import ambient
from .translate import RUNS, Translator, interrupt
from .usage import told_so_far

try:  # only its subclasses are told about breakpoints
    from langgraph.callbacks import GraphCallbackHandler as _Base
except ImportError:
    _Base = BaseCallbackHandler  # type: ignore[misc,assignment]  # langgraph is not installed, or older than its callbacks

__all__ = ["CallbackHandler"]

logger = logging.getLogger("treerings")

RUNS.ambient = lambda: ambient(RUNS)
add_ambient(RUNS.ambient)
add_caretaker(Translator(RUNS).end_abandoned)


class CallbackHandler(_Base):
    """Records every run that it is given to: `chain.invoke(question, config={"callbacks": [CallbackHandler()]})`.

    The dimensions given here are put on the workflows that start with it. It runs inline on the caller's thread, takes
    plain copies, does no I/O, and never raises anything but a plugin's `StopWorkflow`. Handlers share what they know, so
    two of them see a run once; copies and pickles stand for the same. Attaching it does not switch models to streaming.
    """

    run_inline = True
    raise_error = True  # everything of ours is caught below; what is let through is meant to stop the run

    def __init__(
        self,
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        tenant_id: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        given = {"session_id": session_id, "user_id": user_id, "tenant_id": tenant_id, **(labels or {})}
        self._labels = {key: str(value) for key, value in given.items() if value is not None}
        self._translator = Translator(RUNS, self._labels or None)
        self._active = True

    # LangChain asks these before each callback: while off, that is all it costs

    @property
    def ignore_chain(self) -> bool:
        if not self._active:
            return True
        recorder = runtime.current or _new_recorder()
        return recorder is None or not recorder.enabled

    ignore_llm = ignore_chat_model = ignore_agent = ignore_retriever = ignore_chain

    @property
    def ignore_retry(self) -> bool:
        return True

    @property
    def ignore_custom_event(self) -> bool:
        return True

    # -- chains and graphs ----------------------------------------------------------------------------------------

    def on_chain_start(
        self,
        serialized: dict[str, Any],
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        try:
            self._translator.chain_started(
                runtime.current_recorder(),
                serialized,
                inputs,
                run_id,
                parent_run_id,
                tags,
                metadata,
                kwargs.get("name"),
                kwargs.get("run_type"),
                "defers_inputs" in kwargs,
            )
        except StopWorkflow:
            raise
        except Exception as error:
            _report("on_chain_start", error)

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kwargs: Any) -> None:
        try:
            self._translator.chain_ended(runtime.current_recorder(), outputs, run_id, kwargs.get("inputs"))
        except Exception as error:
            _report("on_chain_end", error)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        try:
            self._translator.failed(runtime.current_recorder(), error, run_id, Kind.CHAIN, inputs=kwargs.get("inputs"))
        except Exception as problem:
            _report("on_chain_error", problem)

    # -- models ---------------------------------------------------------------------------------------------------

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: list[list[Any]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        try:
            self._translator.model_started(
                runtime.current_recorder(),
                serialized,
                messages,
                run_id,
                parent_run_id,
                tags,
                metadata,
                kwargs.get("name"),
                kwargs.get("invocation_params"),
                chat=True,
            )
        except StopWorkflow:
            raise
        except Exception as error:
            _report("on_chat_model_start", error)

    def on_llm_start(
        self,
        serialized: dict[str, Any],
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        try:
            self._translator.model_started(
                runtime.current_recorder(),
                serialized,
                prompts,
                run_id,
                parent_run_id,
                tags,
                metadata,
                kwargs.get("name"),
                kwargs.get("invocation_params"),
                chat=False,
            )
        except StopWorkflow:
            raise
        except Exception as error:
            _report("on_llm_start", error)

    def on_llm_new_token(self, token: Any, *, run_id: UUID, **kwargs: Any) -> None:
        run = RUNS.open(run_id)
        if run is None:
            return
        counts = getattr(getattr(kwargs.get("chunk"), "message", None), "usage_metadata", None)
        if counts:
            told_so_far(run, counts)
        if run.first_token:
            return
        run.streamed = True
        try:
            if _speaks(token) or _says_something(kwargs.get("chunk")):
                self._translator.token(runtime.current_recorder(), run_id)
        except Exception as error:
            _report("on_llm_new_token", error)

    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        run = RUNS.open(run_id)
        if run is None or run.first_token:
            return
        run.streamed = True
        try:
            kind = event.get("event")
            content = event.get("content")
            block = content.get("type") if isinstance(content, dict) else None
            if kind == "content-block-delta" or (kind == "content-block-start" and block not in (None, "text")):
                self._translator.token(runtime.current_recorder(), run_id)
        except Exception as error:
            _report("on_stream_event", error)

    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        try:
            self._translator.model_ended(runtime.current_recorder(), response, run_id)
        except Exception as error:
            _report("on_llm_end", error)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        try:
            self._translator.failed(
                runtime.current_recorder(), error, run_id, Kind.LLM, response=kwargs.get("response")
            )
        except Exception as problem:
            _report("on_llm_error", problem)

    # -- tools and retrievers -------------------------------------------------------------------------------------

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        try:
            self._translator.tool_started(
                runtime.current_recorder(),
                serialized,
                input_str,
                run_id,
                parent_run_id,
                tags,
                metadata,
                kwargs.get("name"),
                inputs,
                kwargs.get("tool_call_id"),
            )
        except StopWorkflow:
            raise
        except Exception as error:
            _report("on_tool_start", error)

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        try:
            self._translator.tool_ended(runtime.current_recorder(), output, run_id)
        except Exception as error:
            _report("on_tool_end", error)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        try:
            self._translator.failed(runtime.current_recorder(), error, run_id, Kind.TOOL)
        except Exception as problem:
            _report("on_tool_error", problem)

    def on_retriever_start(
        self,
        serialized: dict[str, Any],
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        try:
            self._translator.retriever_started(
                runtime.current_recorder(), serialized, query, run_id, parent_run_id, tags, metadata, kwargs.get("name")
            )
        except StopWorkflow:
            raise
        except Exception as error:
            _report("on_retriever_start", error)

    def on_retriever_end(self, documents: Sequence[Any], *, run_id: UUID, **kwargs: Any) -> None:
        try:
            self._translator.retriever_ended(runtime.current_recorder(), documents, run_id)
        except Exception as error:
            _report("on_retriever_end", error)

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        try:
            self._translator.failed(runtime.current_recorder(), error, run_id, Kind.RETRIEVER)
        except Exception as problem:
            _report("on_retriever_error", problem)

    # -- graph breakpoints, told only to handlers that are passed in the config -----------------------------------

    def on_interrupt(self, event: Any) -> None:
        try:
            run = RUNS.known(event.run_id)
            if run is not None:
                interrupt(run)
        except Exception as error:
            _report("on_interrupt", error)

    def on_resume(self, event: Any) -> None:
        """A resume is a run of its own; its root carries the link."""

    # -- copies ---------------------------------------------------------------------------------------------------

    def __copy__(self) -> CallbackHandler:
        return self

    def __deepcopy__(self, memo: object) -> CallbackHandler:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self._labels,)


def _rebuilt(labels: dict[str, str]) -> CallbackHandler:
    return CallbackHandler(labels=labels)


def _speaks(content: Any) -> bool:
    """Whether content has anything in it: of blocks, any but an empty text."""
    if type(content) is not list:
        return bool(content)
    return any(
        block if type(block) is not dict else block.get("type") != "text" or block.get("text") for block in content
    )


def _says_something(chunk: Any) -> bool:
    """Whether a chunk without text carries a tool call or reasoning; the first and the last of a stream carry nothing."""
    message = getattr(chunk, "message", None)
    if message is None:
        return False
    if _speaks(message.content) or getattr(message, "tool_call_chunks", None):
        return True
    extra = message.additional_kwargs
    return bool(extra.get("reasoning_content") or extra.get("reasoning"))


def _new_recorder() -> Recorder | None:
    """The recorder that the settings ask for; None when it cannot be made: the program then runs without one."""
    try:
        return runtime.current_recorder()
    except Exception as error:
        _report("The recorder", error)
        return None


_reported: set[str] = set()


def _report(where: str, error: Exception) -> None:
    """Log a failure of ours once for each place: the run goes on without this event."""
    if where not in _reported:
        _reported.add(where)
        logger.error("%s failed and recorded nothing (said once)", where, exc_info=error)
