"""Usage, model and finish reason out of a LangChain `LLMResult`."""

from __future__ import annotations

from collections import OrderedDict
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any

from treerings.usage import Usage

if TYPE_CHECKING:
    from .runs import Run

__all__ = ["Batches", "facts_of", "finish_reason_of", "model_of", "not_added_up", "told_so_far", "usage_of"]

_INPUT_SUFFIXES = {
    "cache_read": "cache_read_tokens",
    "cache_creation": "cache_write_tokens",
    "ephemeral_5m_input_tokens": "5m",
    "ephemeral_1h_input_tokens": "1h",
    "audio": "input_audio_tokens",
    "image": "input_image_tokens",
    "video": "input_video_tokens",
}
_OUTPUT_SUFFIXES = {
    "reasoning": "reasoning_tokens",
    "audio": "output_audio_tokens",
    "image": "output_image_tokens",
    "video": "output_video_tokens",
}
_TIERS = ("priority", "flex", "batch")
_STANDARD_TIERS = ("", "auto", "default", "on_demand", "standard")
_COST_KEYS = ("cost", "cost_in_usd_ticks", "server_tool_use")
_RAW_USAGE_KEYS = ("token_usage", "usage", "usage_metadata")


def facts_of(result: Any) -> tuple[Usage | None, str | None, str | None]:
    """Usage, model and finish reason of one run; see `usage_of`, `model_of` and `finish_reason_of`."""
    try:
        generation = result.generations[0][0]
        message = generation.message
        counts = message.usage_metadata
        if counts and not message.response_metadata and not result.llm_output and not generation.generation_info:
            return _from_metadata(counts), None, None  # nothing else is said: no other place to look
    except Exception:  # a legacy result, or none at all
        pass
    return usage_of(result), model_of(result), finish_reason_of(result)


def told_so_far(run: Run, counts: Any) -> None:
    """Take note of what a chunk of a stream says of usage.

    A provider whose chunks each tell the whole input tells sums, which LangChain then adds up once more.
    """
    said = _count(counts.get("input_tokens")) if isinstance(counts, dict) else None
    if said is None:
        return
    before = run.chunk_counts
    if before is None:
        run.chunk_counts = (1, said, counts)
    elif before[1] == said:
        run.chunk_counts = (before[0] + 1, said, counts)
    else:
        run.chunk_counts = (0, -1, counts)  # parts, as they should be


def not_added_up(run: Run, usage: Usage) -> Usage:
    """The usage of a stream; where LangChain added up sums, that of its last chunk.

    https://github.com/langchain-ai/langchain/issues/30429
    """
    if run.chunk_counts is None:
        return usage
    chunks, said, last = run.chunk_counts
    if chunks < 2 or not said or usage.input_tokens != chunks * said:
        return usage
    return _from_metadata(last) or usage


class Batches:
    """Which run of a batch has its usage.

    `BaseLLM.generate` puts the usage of all prompts on the first run and `{}` on the others. It starts them all before it
    ends one after the other on its thread: that is how they are known. Kept for the latest 100 threads.
    """

    def __init__(self) -> None:
        self._latest: OrderedDict[int, tuple[Run, float]] = OrderedDict()

    def billed(self, run: Run) -> None:
        """Say that this run ends now, with a usage."""
        self._latest[get_ident()] = (run, monotonic())
        if len(self._latest) > 100:
            try:
                self._latest.popitem(last=False)
            except KeyError:  # another thread was quicker
                pass

    def first_of(self, run: Run, result: Any) -> Run | None:
        """The run that has the usage of this one; None where no other has it."""
        try:
            if result.llm_output["token_usage"] != {}:
                return None
        except Exception:  # none, or an object that only looks like a result
            return None
        first, ended_s = self._latest.get(get_ident(), (None, 0.0))
        if first is None or first.parent is not run.parent or first.name != run.name or run.started_s > ended_s:
            return None
        return first


def usage_of(result: Any) -> Usage | None:
    """The usage of one run, read from one place; None when the result says nothing.

    With `n > 1` every generation repeats the whole usage: the first that has it counts. The same numbers also stand in
    `llm_output` and `response_metadata`, so the places are alternatives and are never added together. A result of a
    batch (`BaseLLM.generate`) carries the whole batch's usage.
    """
    try:
        return _usage_of(result)
    except Exception:  # an object that only looks like a result
        return None


def model_of(result: Any) -> str | None:
    """The model that answered, as the provider names it.

    Merged stream chunks add up their strings: `gpt-4ogpt-4o` is `gpt-4o` again here.
    """
    try:
        llm_output = getattr(result, "llm_output", None)
        for place in (*_metadata(result), llm_output):
            if isinstance(place, dict):
                name = place.get("model_name") or place.get("model") or place.get("model_id")
                if isinstance(name, str) and name:
                    return _undoubled(name)
    except Exception:  # as in usage_of
        pass
    return None


def finish_reason_of(result: Any) -> str | None:
    """Why the model stopped, in the provider's word (`stop`, `length`, `tool_calls`, `end_turn`, ...)."""
    try:
        for place in _metadata(result):
            for name in ("finish_reason", "stop_reason", "stopReason", "done_reason"):
                reason = place.get(name)
                if reason:
                    return _undoubled(str(getattr(reason, "value", reason)))
    except Exception:  # as in usage_of
        pass
    return None


def _usage_of(result: Any) -> Usage | None:
    generations = result.generations
    llm_output = getattr(result, "llm_output", None)
    usage = _from_messages(generations)
    if usage is None:
        usage = _from_raw(generations, llm_output)
    if usage is not None:
        _complete(usage, generations, llm_output)
    return usage


def _from_messages(generations: Any) -> Usage | None:
    for batch in generations or ():
        for generation in batch or ():
            message = getattr(generation, "message", None)
            if message is not None:
                metadata = getattr(message, "usage_metadata", None)
                if isinstance(metadata, dict) and metadata:
                    return _from_metadata(metadata)
    return None


def _from_metadata(metadata: dict[str, Any]) -> Usage | None:
    """`UsageMetadata`: inclusive sums, of which the details are parts."""
    usage = Usage()
    usage.input_tokens = _count(metadata.get("input_tokens"))
    usage.output_tokens = _count(metadata.get("output_tokens"))
    details = metadata.get("input_token_details")
    if details:
        _read_input(usage, details)
    details = metadata.get("output_token_details")
    if details:
        _read_details(usage, details, _OUTPUT_SUFFIXES)
    if "total_cost" in metadata:  # LangChain's LLM cache adds it to the first call's counts
        usage.cache_hit = True
    elif usage.input_tokens is None and usage.output_tokens is None:
        return None
    elif usage.input_tokens == 0 and usage.output_tokens:
        usage.input_tokens = None  # langchain-anthropic drops the count of a stream's first event: unknown, not nothing
    return usage


def _read_input(usage: Usage, details: dict[str, Any]) -> None:
    """Anthropic's cache writes come by lifetime, with `cache_creation` at 0 beside them."""
    lifetimes = _read_details(usage, details, _INPUT_SUFFIXES)
    if lifetimes:
        long = lifetimes.get("1h")
        if long is not None:
            usage.cache_write_1h_tokens = long
        written = sum(lifetimes.values())
        usage.cache_write_tokens = max(usage.cache_write_tokens or 0, written)


def _read_details(usage: Usage, details: dict[str, Any], names: dict[str, str]) -> dict[str, int] | None:
    """OpenAI's flex and priority tiers prefix the keys, and add the tier alone for the rest: that one is no unit."""
    lifetimes: dict[str, int] | None = None
    for key, value in details.items():
        field = names.get(key)
        if field is None:
            tier, separator, suffix = key.partition("_")
            if tier in _TIERS:
                if value is not None:
                    usage.service_tier = tier
                field = names.get(suffix) if separator else None
            if field is None:
                continue
        known = _count(value)
        if known is None:
            continue
        if field == "5m" or field == "1h":
            lifetimes = lifetimes or {}
            lifetimes[field] = known
        else:
            setattr(usage, field, max(getattr(usage, field) or 0, known))
    return lifetimes


def _from_raw(generations: Any, llm_output: Any) -> Usage | None:
    """The provider's own usage object, from the first place that has one.

    Legacy models, and gateways whose integration fills no `usage_metadata`.
    """
    places = [llm_output]
    for batch in generations or ():
        for generation in batch or ():
            message = getattr(generation, "message", None)
            places.append(getattr(message, "response_metadata", None))
            places.append(getattr(generation, "generation_info", None))
    for place in places:
        if not isinstance(place, dict):
            continue
        for name in _RAW_USAGE_KEYS:
            raw = place.get(name)
            if raw:
                usage = Usage.from_provider(raw)
                if isinstance(raw, dict) and "total_cost" in raw:
                    usage.cache_hit = True
                if usage.as_dict():
                    return usage
        if "eval_count" in place or "prompt_eval_count" in place:  # Ollama
            return Usage.from_provider(place)
    return None


def _complete(usage: Usage, generations: Any, llm_output: Any) -> None:
    """What `usage_metadata` has no room for: the tier, the stated cost, web searches."""
    places = [llm_output]
    if generations and generations[0]:
        message = getattr(generations[0][0], "message", None)
        places.append(getattr(message, "response_metadata", None))
    for place in places:
        if not isinstance(place, dict):
            continue
        if usage.service_tier is None:
            tier = place.get("service_tier")
            if isinstance(tier, str) and tier not in _STANDARD_TIERS:
                usage.service_tier = _undoubled(tier.lower())
        for name in _RAW_USAGE_KEYS:
            raw = place.get(name)
            if isinstance(raw, dict) and any(key in raw for key in _COST_KEYS):
                read = Usage.from_provider(raw)
                usage.reported_cost_usd = usage.reported_cost_usd or read.reported_cost_usd
                usage.requests = usage.requests or read.requests


def _metadata(result: Any) -> list[dict[str, Any]]:
    """What is said about the generations beside their content, messages before `generation_info`."""
    places: list[dict[str, Any]] = []
    for batch in result.generations or ():
        for generation in batch or ():
            message = getattr(generation, "message", None)
            for place in (getattr(message, "response_metadata", None), getattr(generation, "generation_info", None)):
                if isinstance(place, dict):
                    places.append(place)
    return places


def _undoubled(name: str) -> str:
    """`s` out of `s + s`, any number of times over."""
    size = len(name)
    for times in (2, 3, 4):
        if size % times == 0 and size >= 2 * times and name[: size // times] * times == name:
            return _undoubled(name[: size // times])
    return name


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None
