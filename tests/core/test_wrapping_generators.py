"""Generator functions that are wrapped: the call starts at the first read and ends with the stream."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from treerings import Kind, Status
from treerings.testing import Capture, capture
from treerings.wrapping import Call, Patches, recorded_async_generator, recorded_generator


class Model:
    def count(self, number: int) -> Generator[int, None, str]:
        yield from range(number)
        return "done"

    async def count_slowly(self, number: int) -> AsyncGenerator[int, None]:
        for item in range(number):
            yield item


class Counting(Call):
    __slots__ = ()

    complete = False

    def take(self, item: Any) -> bool:
        return True

    def close(self, status: Status, error: BaseException | None, time_ns: int | None) -> None:
        self.end(status=status, error=error, time_ns=time_ns)


def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Counting | None:
    return Counting.start(Kind.TOOL, "count", source="test", input=args[1])


@pytest.fixture
def captured() -> Any:
    patches = Patches()
    patches.wrap(Model, "count", recorded_generator(begin))
    patches.wrap(Model, "count_slowly", recorded_async_generator(begin))
    with capture() as captured:
        yield captured
    patches.undo()


def test_a_generator_is_a_call_from_its_first_read_to_its_end(captured: Capture) -> None:
    numbers = Model().count(2)

    assert inspect.isgenerator(numbers)
    assert captured.steps == []
    assert next(numbers) == 0
    assert captured.step("tool").status == "running"
    assert list(numbers) == [1]
    assert captured.outline() == "tool count"


def test_a_generators_result_goes_through(captured: Capture) -> None:
    def outer() -> Generator[int, None, None]:
        results.append((yield from Model().count(1)))

    results: list[str] = []
    list(outer())

    assert results == ["done"]


def test_a_generator_that_is_closed_is_cancelled(captured: Capture) -> None:
    numbers = Model().count(2)
    next(numbers)
    numbers.close()

    assert captured.outline() == "tool count cancelled"


async def test_an_asynchronous_generator_is_a_call(captured: Capture) -> None:
    assert [item async for item in Model().count_slowly(2)] == [0, 1]
    left = Model().count_slowly(2)
    await anext(left)
    await left.aclose()

    assert captured.outline() == "tool count\n\ntool count cancelled"


def test_wrong_arguments_raise_at_once(captured: Capture) -> None:
    with pytest.raises(TypeError):
        Model().count()  # type: ignore[call-arg]

    assert captured.steps == []
