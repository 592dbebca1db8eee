"""What a model call cost: the price of what it used, and an estimate where its provider said nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .events import LEAF_KINDS, Kind, Status
from .records import Step
from .registry import Registry

if TYPE_CHECKING:
    from .prices import Price, PriceBook
    from .tokens import Calibrator

__all__ = ["Accountant"]

logger = logging.getLogger("treerings")

CALIBRATING = 10
"""So many reported calls of a model are learnt from, ..."""
CALIBRATE_EVERY = 50
"""... then one in so many."""


class Accountant:
    """Completes model calls on the worker: tokens that the provider did not report, then the cost.

    Tables load at the first call that needs them. A failure here leaves the step as it is, cost unknown.
    """

    def __init__(self, registry: Registry, open_prices: Callable[[], PriceBook]) -> None:
        self._registry = registry
        self._open_prices = open_prices
        self._prices: PriceBook | None = None
        self._calibrator: Calibrator | None = None
        self._reported: dict[str | None, int] = {}
        self._warned = False

    def __call__(self, step: Step) -> None:
        try:
            if step.kind in LEAF_KINDS:
                if _incomplete(step):
                    self._estimate(step)
                elif step.kind is Kind.LLM:
                    self._calibrate(step)
            if step.usage is not None:
                self._price(step)
        except Exception as error:  # the run goes on, the cost stays unknown
            if not self._warned:
                self._warned = True
                logger.error("The cost of a step could not be worked out (said once)", exc_info=error)

    def _estimate(self, step: Step) -> None:
        """Mark what we count ourselves: a call that ended well or was cut, with text to count and no reported usage.

        Where one side is reported and the other is not, only the other is counted here.
        """
        if step.status is Status.ERROR and step.output is None:
            return  # nothing says that the provider billed anything
        if step.input is None and step.output is None:
            return
        if step.usage is not None and step.usage.cache_hit:
            return
        from .tokens import estimate_usage

        known = step.usage
        estimate = estimate_usage(
            model=step.model,
            input=step.input if known is None or known.input_tokens is None else None,
            output=step.output if known is None or known.output_tokens is None else None,
            count=self._count_hook(),
            calibrator=self._calibrator,
        )
        if estimate is None:
            return
        usage, method = estimate
        if known is None:
            step.usage = usage
        else:
            step.usage = replace(
                known,
                input_tokens=usage.input_tokens if known.input_tokens is None else known.input_tokens,
                output_tokens=usage.output_tokens if known.output_tokens is None else known.output_tokens,
            )
        step.estimated = True
        step.attributes = {**step.attributes, "token_count_method": method}

    def _calibrate(self, step: Step) -> None:
        """Learn from what a provider reports how far our estimate is off: the first calls of a model, then a few."""
        seen = self._reported[step.model] = self._reported.get(step.model, 0) + 1
        if len(self._reported) > 1_000:
            self._reported.clear()
        usage = step.usage
        if (seen > CALIBRATING and seen % CALIBRATE_EVERY) or usage is None or usage.cache_hit or step.input is None:
            return
        from .tokens import Calibrator, estimate_usage

        if self._calibrator is None:
            self._calibrator = Calibrator()
        estimate = estimate_usage(model=step.model, input=step.input, output=None)
        if estimate is not None and estimate[1] == "heuristic" and estimate[0].input_tokens and usage.input_tokens:
            self._calibrator.observe(step.model, estimate[0].input_tokens, usage.input_tokens)

    def _count_hook(self) -> Callable[[str | None, str], int | None] | None:
        if not self._registry.implemented("count_tokens"):
            return None
        return lambda model, text: self._registry.ask("count_tokens", model=model, text=text)

    def _price(self, step: Step) -> None:
        price: Price | None = None
        if self._registry.implemented("price_usage"):
            price = self._registry.ask("price_usage", step=step)
        if price is None and step.kind in LEAF_KINDS:
            if self._prices is None:
                self._prices = self._open_prices()
            usage = step.usage
            assert usage is not None
            price = self._prices.price(usage, model=step.model, provider=step.provider, at=step.started_ns)
        if price is not None:
            step.cost_usd = price.cost_usd
            step.price = price.as_dict()


def _incomplete(step: Step) -> bool:
    """Whether the provider said nothing of a side that this kind of call has; embeddings have no output.

    What is billed by the second, the image or the character has no tokens that anybody pays for.
    """
    usage = step.usage
    if usage is None:
        return True
    if usage.is_by_units:
        return False
    return usage.input_tokens is None or (usage.output_tokens is None and step.kind is Kind.LLM)
