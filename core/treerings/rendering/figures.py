"""Amounts in few characters: costs, tokens, durations, ages."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..records import Totals

__all__ = ["UNKNOWN", "age", "align_costs", "cost", "cost_of", "count", "duration", "moment", "tokens"]

UNKNOWN = "?"
NOTHING = "–"


def cost(amount: Decimal | None) -> str:
    """US dollars: cents and more to two or four places, less to two significant digits; `?` when unknown."""
    if amount is None:
        return UNKNOWN
    if amount == 0:
        return "$0"
    if amount < 0:
        return f"-{cost(-amount)}"
    if amount >= 1:
        return f"${amount:,.2f}"
    if amount >= Decimal("0.01"):
        return f"${amount:.4f}"
    if amount < Decimal("0.0000001"):
        return "<$0.0000001"
    return f"${amount:.{1 - amount.adjusted()}f}"


def cost_of(totals: Totals) -> str:
    """The cost of several calls: `+` when some are unknown, `?` when all are, a dash where there were none."""
    if not totals.cost_usd:
        if totals.unpriced_calls:
            return UNKNOWN
        return "$0" if totals.llm_calls or totals.input_tokens or totals.output_tokens else NOTHING
    return cost(totals.cost_usd) + ("+" if totals.unpriced_calls else "")


def align_costs(texts: Sequence[str]) -> list[str]:
    """The costs padded so that their decimal points stand in one column."""
    tails = [len(text) - point if (point := text.find(".")) >= 0 else 0 for text in texts]
    widest = max(tails, default=0)
    return [text + " " * (widest - tail) if text else "" for text, tail in zip(texts, tails, strict=True)]


def count(number: int) -> str:
    """A whole number with separators, in millions and more shortened."""
    for limit, divisor, unit in ((10**12, 10**12, "T"), (10**9, 10**9, "G"), (10**6, 10**6, "M")):
        if abs(number) >= limit:
            return f"{number / divisor:.2f}{unit}"
    return f"{number:,}"


def tokens(number: int | None, *, estimated: bool = False) -> str:
    """A count of tokens: `~` when it is an estimate, `?` when unknown."""
    if number is None:
        return UNKNOWN
    return ("~" if estimated and number else "") + count(number)


def duration(milliseconds: float | None) -> str:
    """A duration in at most seven characters; nothing when unknown."""
    if milliseconds is None:
        return ""
    if milliseconds < 1:
        return f"{milliseconds:.2f}ms" if milliseconds >= 0.005 else "0ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f}ms"
    seconds = milliseconds / 1000
    if seconds < 9.995:
        return f"{seconds:.2f}s"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole % 3600 // 60:02}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600:02}h"


def age(then: datetime, now: datetime) -> str:
    """How long ago a time is."""
    seconds = (now - then).total_seconds()
    if seconds < 10:
        return "just now"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit} ago"
    return f"{int(seconds)}s ago"


def moment(time: datetime) -> str:
    """A time to the second, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
