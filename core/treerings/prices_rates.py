"""The arithmetic of a price: disjoint parts of a usage vector times the rates of a rule set."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .usage import Usage

__all__ = ["PER", "Rates", "RuleSet", "cost_of", "parts_of"]

PER: dict[str, int] = {
    "input": 1_000_000,
    "output": 1_000_000,
    "cache_read": 1_000_000,
    "cache_read_audio": 1_000_000,
    "cache_read_image": 1_000_000,
    "cache_write": 1_000_000,
    "cache_write_1h": 1_000_000,
    "input_audio": 1_000_000,
    "input_image": 1_000_000,
    "input_video": 1_000_000,
    "output_audio": 1_000_000,
    "output_image": 1_000_000,
    "output_video": 1_000_000,
    "reasoning": 1_000_000,
    "citation": 1_000_000,
    "characters": 1_000_000,
    "seconds": 3600,
    "web_search": 1000,
    "file_search": 1000,
    "search_units": 1000,
    "pages": 1000,
    "requests": 1000,
    "images": 1,
}
"""For how many units a price is given: a million tokens or characters, an hour, a thousand calls or pages, one image."""

_PARENTS = {
    "cache_read_audio": "cache_read",
    "cache_read_image": "cache_read",
    "cache_read": "input",
    "cache_write_1h": "cache_write",
    "cache_write": "input",
    "input_audio": "input",
    "input_image": "input",
    "input_video": "input",
    "output_audio": "output",
    "output_image": "output",
    "output_video": "output",
    "reasoning": "output",
    "citation": "output",
}
_BILLED_AS_PARENT = frozenset({"reasoning", "citation", "input_image", "input_video"})
"""Providers bill these at the parent's rate unless they list one: no own price is no gap."""

_NO_PRICE = frozenset({"sources", "classifications"})
_EXACT = Context(prec=60)
_DAY_NS = 86_400_000_000_000
_EPOCH_DAY = 719_163  # date(1970, 1, 1).toordinal()

Part = tuple[str, int]


@dataclass(slots=True)
class Rates:
    """Prices a unit under one set of conditions, with the words that name these in `Price.rule`."""

    per_unit: dict[str, Decimal]
    condition: str
    missing_tier: bool = False


class RuleSet:
    """All prices of one model: by date, time of day, service tier and size of the prompt."""

    __slots__ = ("_cache", "_rules", "_starts", "minimum_seconds")

    def __init__(self, rules: Sequence[Mapping[str, Any]], *, minimum_seconds: int = 0) -> None:
        """`rules` are price sets `{"prices": {unit: price}, "from"?: date, "time"?: [start, end], "tier"?: name}`.

        A price is a decimal string in USD for `PER[unit]` units, or `[price, start, price, ...]`: the price beyond the
        largest `start` that the input tokens exceed. Of the active sets without a tier the last one counts; the active
        sets with the call's tier replace its prices unit by unit, later ones last.
        """
        self._rules = [_Rule(rule) for rule in rules]
        self._starts = tuple(sorted({start for rule in self._rules for start in rule.starts}))
        self._cache: dict[tuple[int, str | None, int, int], Rates] = {}
        self.minimum_seconds = minimum_seconds

    def rates(self, at_ns: int, tier: str | None, input_tokens: int) -> Rates:
        """The rates of a call: at a UTC time in nanoseconds, in a service tier, with so many input tokens."""
        rules = self._rules
        standard, variants = 0, 0
        if len(rules) > 1:
            day, moment = divmod(at_ns, _DAY_NS)
            day += _EPOCH_DAY
            for index, rule in enumerate(rules):
                if rule.tier is None:
                    if rule.is_active(day, moment):
                        standard = index
                elif rule.tier == tier and rule.is_active(day, moment):
                    variants |= 1 << index
        step = 0
        for start in self._starts:
            if input_tokens > start:
                step = start
        key = (standard, tier, variants, step)
        known = self._cache.get(key)
        if known is None:
            known = self._cache[key] = self._compile(standard, tier, variants, step)
        return known

    def _compile(self, standard: int, tier: str | None, variants: int, step: int) -> Rates:
        rule = self._rules[standard]
        prices = dict(rule.prices)
        for index, variant in enumerate(self._rules):
            if variants & (1 << index):
                for unit, price in variant.prices.items():
                    prices[unit] = price
        condition = rule.condition
        if variants:
            condition += f" {tier}"
        if step:
            condition += f" tier>{step // 1000}k"
        per_unit = {unit: _EXACT.divide(_at(price, step), Decimal(PER[unit])) for unit, price in prices.items()}
        return Rates(per_unit, condition, missing_tier=tier is not None and not variants)


class _Rule:
    __slots__ = ("condition", "day", "prices", "starts", "tier", "time")

    def __init__(self, rule: Mapping[str, Any]) -> None:
        start, times = rule.get("from"), rule.get("time")
        self.tier: str | None = rule.get("tier")
        self.day = _ordinal(start) if start else 0
        self.time = (_nanoseconds(times[0]), _nanoseconds(times[1])) if times else None
        self.prices: dict[str, Any] = {unit: price for unit, price in rule["prices"].items() if unit in PER}
        self.starts = [start for price in self.prices.values() if isinstance(price, list) for start in price[1::2]]
        self.condition = (f"@{start}" if start else "") + (f" {times[0]}-{times[1]}" if times else "")

    def is_active(self, day: int, moment: int) -> bool:
        if day < self.day:
            return False
        if self.time is None:
            return True
        start, end = self.time
        return start <= moment < end if start <= end else moment >= start or moment < end


def parts_of(usage: Usage) -> list[Part]:
    """The usage as parts that do not overlap: what is counted in one is counted in no other.

        cache_read      = cache_read_tokens - cache_read_audio - cache_read_image
        cache_write     = cache_write_tokens - cache_write_1h
        input_audio     = input_audio_tokens - cache_read_audio        (input_image likewise)
        input           = input_tokens - all of the above and input_video
        output          = output_tokens - reasoning - citation - output_audio - output_image - output_video

    Each is cut at 0, because sub-buckets need not add up (their sums may even exceed the whole). `tool_prompt_tokens` have
    no price of their own anywhere and stay in `input`.
    """
    parts: list[Part] = []
    whole = usage.input_tokens or 0
    read, written = usage.cache_read_tokens, usage.cache_write_tokens or usage.cache_write_1h_tokens
    audio, image, video = usage.input_audio_tokens, usage.input_image_tokens, usage.input_video_tokens
    if read or written or audio or image or video:
        read_audio, read_image = usage.cache_read_audio_tokens or 0, usage.cache_read_image_tokens or 0
        hour = usage.cache_write_1h_tokens or 0
        for unit, number in (
            ("cache_read_audio", read_audio),
            ("cache_read_image", read_image),
            ("cache_read", (read or 0) - read_audio - read_image),
            ("cache_write_1h", hour),
            ("cache_write", (written or 0) - hour),
            ("input_audio", (audio or 0) - read_audio),
            ("input_image", (image or 0) - read_image),
            ("input_video", video or 0),
        ):
            if number > 0:
                parts.append((unit, number))
                whole -= number
    if whole > 0:
        parts.append(("input", whole))
    whole = usage.output_tokens or 0
    for unit, tokens in (
        ("reasoning", usage.reasoning_tokens),
        ("citation", usage.citation_tokens),
        ("output_audio", usage.output_audio_tokens),
        ("output_image", usage.output_image_tokens),
        ("output_video", usage.output_video_tokens),
    ):
        if tokens:
            parts.append((unit, tokens))
            whole -= tokens
    if whole > 0:
        parts.append(("output", whole))
    if usage.requests:
        parts.extend((unit, number) for unit, number in usage.requests.items() if number > 0)
    return parts


def cost_of(usage: Usage, rules: RuleSet, rates: Rates) -> tuple[Decimal, list[str]] | None:
    """The sum over the parts of count times rate, and the units for which another unit's price or none stood in.

    A unit without a price takes its parent's (`cache_write_1h` that of `cache_write`, that of `input`). A count that the
    provider did not report is a gap too, if it would have cost something. None when no part has any price.
    """
    per_unit = rates.per_unit
    cost, priced, gaps = Decimal(0), False, []
    for unit, number in parts_of(usage):
        rate, at = per_unit.get(unit), unit
        while rate is None:
            parent = _PARENTS.get(at)
            if parent is None:
                break
            rate, at = per_unit.get(parent), parent
        if rate is None:
            if unit not in _NO_PRICE:
                gaps.append(unit)
            continue
        if at != unit and unit not in _BILLED_AS_PARENT:
            gaps.append(unit)
        if unit == "seconds" and number < rules.minimum_seconds:
            number = rules.minimum_seconds
        cost = _EXACT.add(cost, _EXACT.multiply(rate, Decimal(number)))
        priced = True
    by_call = per_unit.get("requests")
    if by_call is not None and "requests" not in usage.requests:
        cost = _EXACT.add(cost, by_call)
    for unit, known in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        if known is None and per_unit.get(unit) and not usage.is_by_units:
            gaps.append(unit)
    if rates.missing_tier:
        gaps.append("service_tier")
    if not priced and not _is_empty_call(usage):
        return None
    return cost, gaps


def _is_empty_call(usage: Usage) -> bool:
    """A call that is known to have used nothing costs nothing; one of which nothing is known has no cost."""
    return usage.total_tokens == 0 and not usage.requests


def _at(price: Any, step: int) -> Decimal:
    if not isinstance(price, list):
        return Decimal(price)
    found = price[0]
    for start, beyond in zip(price[1::2], price[2::2], strict=True):
        if step >= start:
            found = beyond
    return Decimal(found)


def _ordinal(day: str) -> int:
    from datetime import date

    return date.fromisoformat(day).toordinal()


def _nanoseconds(clock: str) -> int:
    hours, minutes = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000_000_000
