"""What the demo's models answer, and how long they think."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..testing.model_request import ModelRequest
    from ..testing.model_script import Answer, Failure

__all__ = ["BILLING", "LOGISTICS", "PARCELS", "POLICY", "QUESTION", "READER", "SUPERVISOR", "WRITER", "replies"]

QUESTION = "My order 1137 has not arrived. Where is it, and what do I get back if I cancel?"

SUPERVISOR = "You lead a support desk."
LOGISTICS = "You track parcels."
BILLING = "You know refunds."
READER = "Answer from the refund policy."
WRITER = "Write to the customer."

PARCELS = {"R-77015": "Left Rotterdam on Thursday, expected on Monday."}
POLICY = "An order that has not been delivered can be cancelled; the full price is paid back within five days."


def replies(pause: Callable[[float], None] = time.sleep) -> Callable[[ModelRequest], Answer | Failure]:
    """What the scripted models answer, as a reply for `ModelServer`; `pause` lets their thinking time pass."""
    from ..testing.model_script import Answer, Failure, ToolCall

    failures = [Failure(429, "Rate limit reached, try again shortly.", "rate_limit_exceeded", retry_after=0)]

    def says(text: str, seconds: float, usage: Mapping[str, int]) -> Answer:
        pause(seconds)
        return Answer(text, usage=dict(usage))  # type: ignore[arg-type]  # a TypedDict of counts

    def calls(tool: str, arguments: Mapping[str, Any], seconds: float, usage: Mapping[str, int]) -> Answer:
        pause(seconds)
        return Answer(tool_calls=[ToolCall(tool, arguments)], usage=dict(usage))  # type: ignore[arg-type]  # as above

    def supervisor(request: ModelRequest) -> Answer:
        if "paid back" in request.text:
            used = {"input_tokens": 1_946, "output_tokens": 31, "cache_read_tokens": 1_536}
            return calls("write_answer", {}, 0.14, used)
        if "on Monday" in request.text:
            used = {"input_tokens": 1_702, "output_tokens": 66, "cache_read_tokens": 1_408, "reasoning_tokens": 44}
            return calls("ask_billing", {}, 0.19, used)
        return calls("ask_logistics", {}, 0.23, {"input_tokens": 1_580, "output_tokens": 82, "reasoning_tokens": 60})

    def logistics(request: ModelRequest) -> Answer:
        result = request.tool_result
        if result is not None and "Rotterdam" in result:
            return says("Parcel R-77015 arrives on Monday.", 0.12, {"input_tokens": 741, "output_tokens": 38})
        if result is not None and "No parcel" in result:
            return calls("track_parcel", {"number": "R-77015"}, 0.10, {"input_tokens": 684, "output_tokens": 27})
        return calls("track_parcel", {"number": "1137"}, 0.11, {"input_tokens": 612, "output_tokens": 24})

    def billing(request: ModelRequest) -> Answer:
        if request.tool_result is not None and "full price" in request.tool_result:
            return says("Until it is delivered all is paid back.", 0.13, {"input_tokens": 702, "output_tokens": 49})
        return calls("refund_terms", {"order": "1137"}, 0.12, {"input_tokens": 655, "output_tokens": 31})

    def reader(request: ModelRequest) -> Answer | Failure:
        if failures:
            pause(0.03)
            return failures.pop()
        return says("The full price, if cancelled before delivery.", 0.08, {"input_tokens": 288, "output_tokens": 17})

    def writer(request: ModelRequest) -> Answer:
        text = "Your parcel arrives on Monday. If you cancel before then, the full price is paid back within five days."
        return says(text, 0.16, {"input_tokens": 402, "output_tokens": 118})

    roles = {SUPERVISOR: supervisor, LOGISTICS: logistics, BILLING: billing, READER: reader, WRITER: writer}

    def answer(request: ModelRequest) -> Answer | Failure:
        return next(reply for prompt, reply in roles.items() if prompt in request.text)(request)

    return answer
