"""The span handler and the event handler: receive LlamaIndex's callbacks, inline, and hand them to the translator."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index_instrumentation.dispatcher import active_instrument_tags
from treerings import Recorder, StopWorkflow, runtime
from treerings.context import add_ambient
from treerings.recorder import add_caretaker

from .translate import Translator

__all__ = ["SCOPE", "TRANSLATOR", "EventHandler", "Scope", "SpanHandler"]

logger = logging.getLogger("treerings")

TRANSLATOR = Translator()


class Scope:
    """What is recorded: all, or what begins in a context that asked for it."""

    def __init__(self) -> None:
        self.everywhere = False
        self.here: ContextVar[bool] = ContextVar("treerings_llamaindex_recording", default=False)


SCOPE = Scope()

add_ambient(TRANSLATOR.ambient)
add_ambient(TRANSLATOR.reading, on_stack=True)
add_caretaker(TRANSLATOR.end_abandoned)


class SpanHandler(BaseSpanHandler[BaseSpan]):
    """Records spans. It keeps none in LlamaIndex's own tables, which are neither bounded nor safe among threads."""

    @classmethod
    def class_name(cls) -> str:
        return "TreeringsSpanHandler"

    def span_enter(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        parent_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        recorder = runtime.current_recorder()
        if not recorder.enabled:
            return
        try:
            wanted = SCOPE.everywhere or SCOPE.here.get()
            given = tags or active_instrument_tags.get()  # the span of a workflow's run is given none
            TRANSLATOR.entered(recorder, id_, bound_args.arguments, instance, parent_id, given, wanted)
        except StopWorkflow:  # the dispatcher swallows it: a guard cannot stop a run here
            return
        except Exception as error:
            _report("span_enter", error)

    def span_exit(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        result: Any | None = None,
        **kwargs: Any,
    ) -> None:
        try:
            TRANSLATOR.exited(runtime.current_recorder(), id_, result)
        except Exception as error:
            _report("span_exit", error)

    def span_drop(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any | None = None,
        err: BaseException | None = None,
        **kwargs: Any,
    ) -> None:
        try:
            TRANSLATOR.dropped(runtime.current_recorder(), id_, err)
        except Exception as error:
            _report("span_drop", error)

    def new_span(self, *args: Any, **kwargs: Any) -> None:
        return None

    def prepare_to_exit_span(self, *args: Any, **kwargs: Any) -> None:
        return None

    def prepare_to_drop_span(self, *args: Any, **kwargs: Any) -> None:
        return None


_EVENTS: dict[str, Callable[[Recorder, Any], None]] = {
    "LLMChatStartEvent": lambda recorder, event: TRANSLATOR.model_asked(recorder, event, chat=True),
    "LLMCompletionStartEvent": lambda recorder, event: TRANSLATOR.model_asked(recorder, event, chat=False),
    "LLMChatInProgressEvent": TRANSLATOR.model_said,
    "LLMCompletionInProgressEvent": TRANSLATOR.model_said,
    "LLMChatEndEvent": TRANSLATOR.model_answered,
    "LLMCompletionEndEvent": TRANSLATOR.model_answered,
    "ExceptionEvent": TRANSLATOR.failed,
    "EmbeddingStartEvent": TRANSLATOR.embedding_asked,
    "SparseEmbeddingStartEvent": TRANSLATOR.embedding_asked,
    "EmbeddingEndEvent": TRANSLATOR.embedding_answered,
    "SparseEmbeddingEndEvent": TRANSLATOR.embedding_answered,
    "SpanCancelledEvent": lambda recorder, event: TRANSLATOR.cancelled(event),
}


class EventHandler(BaseEventHandler):
    """Records what spans do not say: model calls with their answers, streams, cancellation."""

    @classmethod
    def class_name(cls) -> str:
        return "TreeringsEventHandler"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        tell = _EVENTS.get(type(event).__name__)
        if tell is None:
            return
        recorder = runtime.current_recorder()
        if not recorder.enabled:
            return
        try:
            tell(recorder, event)
        except StopWorkflow:  # as in span_enter
            return
        except Exception as error:
            _report(type(event).__name__, error)


_reported: set[str] = set()


def _report(where: str, error: Exception) -> None:
    """The dispatcher swallows what handlers raise: say it once for each callback."""
    if where not in _reported:
        _reported.add(where)
        logger.error("LlamaIndex's %s is not recorded; the run goes on", where, exc_info=error)
