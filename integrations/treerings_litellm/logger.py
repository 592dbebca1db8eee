"""The logger that LiteLLM tells of its calls, and what becomes of each."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.redact_messages import should_redact_message_logging
from treerings import Recorder, Status, StopWorkflow, runtime
from treerings.context import add_ambient, current_step
from treerings.recorder import add_caretaker

from . import places, report, translate
from .calls import CALLS, Call, told_by

__all__ = ["LOGGER", "TreeringsLogger", "answered_from_cache"]

SOURCE = "litellm"


class TreeringsLogger(CustomLogger):
    """Records every call of LiteLLM: `litellm.callbacks.append(TreeringsLogger())`. All loggers record a call once."""

    # -- a call begins --------------------------------------------------------------------------------------------

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> None:
        """Inline, before the cache is asked: the only place where an asynchronous call's surroundings are always there."""
        try:
            _enclosed(kwargs)
        except Exception as error:
            report.once("async_pre_call_deployment_hook", error)

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: dict[str, Any]) -> None:
        try:
            recorder = runtime.current_recorder()
            called = translate.what(kwargs.get("call_type"))
            if recorder.enabled and called is not None:
                _start(recorder, called, model, messages, kwargs, self)
        except StopWorkflow as stop:  # LiteLLM swallows what its loggers raise: a guard cannot stop a call here
            CALLS.end(str(kwargs.get("litellm_call_id")))
            report.once("A guard", stop)
        except Exception as error:
            report.once("log_pre_api_call", error)

    def log_post_api_call(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """The provider's SDK is back, with an answer or with an error: nothing else tells of a failed attempt's error."""
        call = CALLS.get(str(kwargs.get("litellm_call_id")))
        said = kwargs.get("original_response")
        if call is not None and isinstance(said, str):
            call.said, call.said_ns = said, time.time_ns()

    # -- and ends -------------------------------------------------------------------------------------------------

    async def async_post_call_success_deployment_hook(self, request_data: Any, response: Any, call_type: Any) -> None:
        """Inline: what `async_log_success_event` tells later does not come at all when the event loop ends before."""
        try:
            call = CALLS.get(_call_id(request_data))
            if call is not None and not call.is_stream:
                _succeed(call.id, {"call_type": getattr(call_type, "value", call_type)}, response, None)
        except Exception as error:
            report.once("async_post_call_success_deployment_hook", error)

    async def async_post_call_failure_deployment_hook(
        self, request_data: Any, exception: Any, call_type: Any, fallback_depth: int | None = None
    ) -> None:
        """Inline: of several attempts in one call LiteLLM logs one failure."""
        try:
            call = CALLS.get(_call_id(request_data))
            if call is not None:
                call.error = exception
        except Exception as error:
            report.once("async_post_call_failure_deployment_hook", error)

    def log_success_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        try:
            _succeed(str(kwargs.get("litellm_call_id")), kwargs, response_obj, end_time, start_time)
        except Exception as error:
            report.once("log_success_event", error)

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """LiteLLM carries what an event loop left undone into the next one: what is not open any more ended long ago."""
        if CALLS.get(str(kwargs.get("litellm_call_id"))) is not None:
            self.log_success_event(kwargs, response_obj, start_time, end_time)

    def log_failure_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        try:
            _fail(str(kwargs.get("litellm_call_id")), kwargs, start_time, end_time)
        except Exception as error:
            report.once("log_failure_event", error)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        if CALLS.get(str(kwargs.get("litellm_call_id"))) is not None:
            self.log_failure_event(kwargs, response_obj, start_time, end_time)


LOGGER = TreeringsLogger()


def _call_id(kwargs: Any) -> str:
    """The id of the call: that of LiteLLM's own object, which fallbacks share."""
    logging = kwargs.get("litellm_logging_obj")
    return str(getattr(logging, "litellm_call_id", None) or kwargs.get("litellm_call_id"))


def _enclosed(kwargs: Any) -> None:
    """Keep what encloses a call that begins here."""
    if runtime.current_recorder().enabled:
        call = CALLS.begin(_call_id(kwargs), current_step())
        CALLS.watch(call, kwargs.get("litellm_logging_obj"))


def _start(
    recorder: Recorder, called: translate.What, model: Any, messages: Any, details: dict[str, Any], logger: CustomLogger
) -> None:
    """A request goes out now. A second one of the same call is another attempt: the one before it has failed."""
    _tidy(recorder)
    id = str(details.get("litellm_call_id"))
    call = CALLS.get(id)
    sent = details.get("api_call_start_time")
    if call is not None and sent is not None and call.sent is sent:
        return  # another logger of ours was told of this very request
    if call is None or call.attempt == 0:
        places.add(litellm, logger)  # whoever sets `litellm.callbacks` to a list of his own takes us out
    elif call.step is not None and not call.step.ended:
        error = call.error or sys.exc_info()[1]
        recorder.end(call.step, status=Status.ERROR, error=error, attributes=None if error else _said(call))
    parent = current_step()  # an attempt is a sibling of the one before: that has ended
    if call is None:
        call = CALLS.begin(id, parent)
    elif parent is None:
        parent = None if call.parent is None else call.parent.nearest_open()
    call.attempt += 1
    call.error, call.said, call.sent, call.recorder = None, None, sent, recorder
    call.is_stream = bool(details.get("stream"))
    CALLS.watch(call, told_by(sys._getframe(2)))
    hides = should_redact_message_logging(details)
    call.step = recorder.start(
        called.kind,
        called.name,
        source=SOURCE,
        parent=parent,
        input=None if hides else recorder.snapshot(details.get("input") if messages is None else messages),
        model=model if isinstance(model, str) else None,
        provider=translate.provider(details),
        labels=translate.labels(details),
        attributes=recorder.snapshot(translate.facts(details, called, call.attempt)),
    )


def _succeed(id: str, details: dict[str, Any], response: Any, end_time: Any, start_time: Any = None) -> None:
    call = CALLS.get(id)
    if call is None or call.step is None:
        call = _told_late(id, call, details, start_time)
        if call is None:
            return
    step, recorder = call.step, call.recorder
    if step is None or recorder is None or step.ended:
        CALLS.end(id)
        return
    called = translate.what(details.get("call_type")) or translate.What(step.kind, step.name)
    cache_hit = details.get("cache_hit") is True
    first = translate.nanoseconds(details.get("completion_start_time")) if call.is_stream else None
    if first is not None:
        recorder.update(step, first_token_ns=recorder.clock.at(first))
    served = getattr(response, "model", None)
    hides = end_time is None and litellm.turn_off_message_logging is True  # later it is redacted already
    recorder.end(
        step,
        output=None if hides else recorder.snapshot(translate.answer(called, response)),
        usage=translate.usage(
            response,
            images=called.call_type == "image",
            streamed=call.is_stream,
            cache_hit=cache_hit,
            provider=translate.provider(details),
        ),
        model=served if isinstance(served, str) and served and not cache_hit else None,
        attributes=translate.ended(response),
        time_ns=translate.nanoseconds(end_time),
    )
    CALLS.end(id)


def answered_from_cache(logging: Any, response: Any) -> None:
    """The cache has the answer to a call that begins here; a stream out of the cache is told of at its end."""
    recorder = runtime.current_recorder()
    id = str(getattr(logging, "litellm_call_id", None))
    if not recorder.enabled or id == "None" or CALLS.ended(id):
        return
    if CALLS.get(id) is None:
        CALLS.watch(CALLS.begin(id, current_step()), logging)
    if not hasattr(response, "completion_stream") and not hasattr(response, "__next__"):
        details = {**logging.model_call_details, "cache_hit": True}
        details.setdefault("call_type", logging.call_type)
        _succeed(id, details, response, None, details.get("start_time"))


def _fail(id: str, details: dict[str, Any], start_time: Any, end_time: Any) -> None:
    call = CALLS.get(id)
    if call is None or call.step is None:
        call = _told_late(id, call, details, start_time)
        if call is None:
            return
    step, recorder = call.step, call.recorder
    if step is None or recorder is None or step.ended:
        return
    error = details.get("exception")
    recorder.end(
        step,
        status=Status.ERROR,
        error=error if isinstance(error, BaseException) else None,
        time_ns=translate.nanoseconds(end_time),
    )
    call.error = None


def _told_late(id: str, call: Call | None, details: dict[str, Any], start_time: Any) -> Call | None:
    """A step for a call of which nothing was told before its end: out of the cache, mocked, refused by LiteLLM itself."""
    recorder = runtime.current_recorder()
    called = translate.what(details.get("call_type"))
    if not recorder.enabled or called is None or CALLS.ended(id):
        return None
    if call is None:
        call = CALLS.begin(id, current_step())
    call.recorder = recorder
    call.is_stream = bool(details.get("stream"))
    messages = details.get("messages")
    call.step = recorder.start(
        called.kind,
        called.name,
        source=SOURCE,
        parent=call.parent,
        input=recorder.snapshot(details.get("input") if messages is None else messages),
        model=translate.model(details),
        provider=translate.provider(details),
        labels=translate.labels(details),
        attributes=recorder.snapshot(translate.facts(details, called, 1)),
        time_ns=translate.nanoseconds(start_time),
    )
    return call


def _tidy(recorder: Recorder) -> None:
    """End what ended without a word: what was cancelled, a stream that nobody read on, attempts after the first.

    LiteLLM logs one failure of a call, and no success of an asynchronous call's later attempts; but what the SDK gave back
    it tells always.
    """
    while CALLS.gone:
        try:
            id, time_ns = CALLS.gone.popleft()
        except IndexError:  # another thread was quicker
            return
        call = CALLS.end(id)
        if call is None or call.step is None or call.step.ended or call.recorder is None:
            continue
        try:
            response = None if call.is_stream or not call.said else json.loads(call.said)
        except ValueError:
            response = call.said
        if isinstance(response, dict) and call.error is None:
            call.recorder.end(
                call.step,
                output=call.recorder.snapshot(translate.answer(translate.What(call.step.kind, ""), response)),
                usage=translate.usage(response, streamed=False, cache_hit=False, provider=None),
                attributes=translate.ended(response),
                time_ns=call.said_ns,
            )
        else:
            failed = call.error is not None or response is not None
            call.recorder.end(
                call.step,
                status=Status.ERROR if failed else Status.CANCELLED,
                error=call.error,
                attributes=None if call.error is not None or not failed else _said(call),
                time_ns=time_ns,
            )


def _said(call: Call) -> dict[str, Any] | None:
    return {"provider_error": call.said[:2_000]} if call.said else None


CALLS.know(litellm.utils.client)
add_ambient(CALLS.running, on_stack=True)
add_caretaker(_tidy)
