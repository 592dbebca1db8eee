"""Payloads become plain bounded data, whatever they are."""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime
import decimal
import enum
import itertools
import pathlib
import sys
import threading
import types
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from treerings.plain import dump_json
from treerings.snapshot import Budget, error_text, snapshot


class Colour(enum.Enum):
    RED = "red"


class Level(str, enum.Enum):  # noqa: UP042  # the old way is still around
    HIGH = "high"


class Size(enum.IntEnum):
    BIG = 3


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Card:
    number: str
    pin: str = dataclasses.field(repr=False, default="0000")


class User(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str
    password: SecretStr
    hidden: str = Field(default="x", exclude=True)
    silent: str = Field(default="y", repr=False)


class Raising:
    """Raises at whatever is asked of it."""

    def _raise(self, *args: Any) -> Any:
        raise RuntimeError("no")

    __repr__ = __str__ = __len__ = __iter__ = __bool__ = __eq__ = __hash__ = __getitem__ = __index__ = _raise  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no")


class OwnText(str):
    def __len__(self) -> int:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")


class OwnList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        raise RuntimeError("consumed")

    def __len__(self) -> int:
        raise RuntimeError("no")


class OwnDict(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no")


def function() -> None: ...


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (2.5, 2.5),
        ("text", "text"),
        ([1, ("a", None)], [1, ["a", None]]),
        ({"a": {"b": [1]}}, {"a": {"b": [1]}}),
        (
            {1: "int", None: "none", (1, "a"): "tuple", False: "bool"},
            {"1": "int", "None": "none", "1,a": "tuple", "False": "bool"},
        ),
        ({Colour.RED: 1, Level.HIGH: 2, Size.BIG: 3}, {"red": 1, "high": 2, "3": 3}),
        ([Colour.RED, Level.HIGH, Size.BIG], ["red", "high", 3]),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Card("4111"), {"number": "4111"}),
        (User(name="a", password=SecretStr("p"), more=1), {"name": "a", "password": "[secret]", "more": 1}),  # type: ignore[call-arg]
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (collections.deque([1, 2]), [1, 2]),
        (frozenset({1}), [1]),
        ({"a": 1}.keys(), ["a"]),
        (b"abc", "<bytes 3>"),
        (memoryview(b"abcd"), "<memoryview 4>"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (decimal.Decimal("1.50"), "1.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (ValueError("bad"), "ValueError: bad"),
        (function, "<test_snapshot.function>"),
        (Point, "<test_snapshot.Point>"),
        (2**80, str(2**80)),
        (10**5000, "<int of 16610 bits>"),
        ({10**5000: 1}, {"<int>": 1}),
        (OwnText("mine"), "mine"),
        (OwnList([1]), [1]),
        (OwnDict(a=1), {"a": 1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_becomes_plain_data(value: Any, taken: Any) -> None:
    assert snapshot(value) == taken


def test_objects_of_unknown_types_become_their_type() -> None:
    taken = snapshot({"lock": threading.Lock(), "iterator": iter([1]), "object": object(), "module": sys})
    assert taken == {
        "lock": "<_thread.lock>",
        "iterator": "<builtins.list_iterator>",
        "object": "<builtins.object>",
        "module": "<builtins.module>",
    }


def test_something_hostile_does_not_take_the_rest_with_it() -> None:
    assert snapshot({"before": 1, "bad": [Raising()], "after": 2}) == {
        "before": 1,
        "bad": ["<test_snapshot.Raising>"],
        "after": 2,
    }


def test_a_property_that_raises_hides_itself_only() -> None:
    @dataclasses.dataclass
    class Lazy:
        a: int
        b: int = 0

        def __getattribute__(self, name: str) -> Any:
            if name == "b":
                raise ConnectionError("lazy loading")
            return super().__getattribute__(name)

    assert snapshot(Lazy(1)) == {"a": 1, "b": "<ConnectionError while it was read>"}


def test_generators_and_iterators_are_not_consumed() -> None:
    generator, counter = (n for n in range(3)), itertools.count()
    snapshot([generator, counter, {"g": generator}])
    assert (list(generator), next(counter)) == ([0, 1, 2], 0)


def test_cycles_end() -> None:
    cycle: dict[str, Any] = {"name": "a"}
    cycle["self"] = cycle
    cycle["list"] = [cycle, cycle]
    assert orjson.loads(dump_json(snapshot(cycle)))["self"]["name"] == "a"


def test_a_huge_string_is_cut_and_says_by_how_much() -> None:
    taken = snapshot({"text": "x" * 100_000_000})
    assert taken["text"].endswith("… [99737856 more characters]")
    assert len(taken["text"]) < 262_144 + 100


def test_a_string_within_the_bound_is_shared_not_copied() -> None:
    text = "x" * 100_000
    assert snapshot({"text": text})["text"] is text


def test_a_huge_string_of_an_own_type_is_cut() -> None:
    assert len(snapshot(OwnText("x" * 1_000_000))) < 262_144 + 100


def test_the_characters_of_all_strings_together_are_bounded() -> None:
    taken = snapshot(["x" * 100_000 for _ in range(10)])
    assert sum(len(text) for text in taken) < 262_144 + 10 * 50


def test_of_a_million_items_two_thousand_are_looked_at() -> None:
    class Counting(list[int]):
        pass

    looked = snapshot(Counting(range(1_000_000)))
    assert (len(looked), looked[-1]) == (2_001, "… 998000 more items")
    entries = snapshot(dict.fromkeys(range(1_000_000), 0))
    assert (len(entries), entries["…"]) == (2_001, "998000 more entries")


def test_the_budget_of_items_is_shared_by_everything_inside() -> None:
    def size(value: Any) -> int:
        return sum(map(size, value)) + len(value) if isinstance(value, list) else 0

    assert size(snapshot([[list(range(100)) for _ in range(100)] for _ in range(100)], budget=Budget(items=500))) < 600


def test_depth_is_bounded() -> None:
    deep: Any = "bottom"
    for _ in range(100_000):
        deep = [deep]
    taken = snapshot(deep)
    for _ in range(12):
        taken = taken[0]
    assert taken == "…"
    while deep != "bottom":  # taken apart by hand: letting go of it at once is too deep for some interpreters
        deep = deep[0]


def test_a_long_key_is_cut() -> None:
    (key,) = snapshot({"k" * 1_000_000: 1})
    assert len(key) == 1_001


def test_base64_becomes_its_size() -> None:
    data = base64.b64encode(bytes(range(256)) * 10).decode()
    assert snapshot({"data": data, "url": f"data:image/png;base64,{data}"}) == {
        "data": "<base64 3416 characters>",
        "url": "<data:image/png;base64 3438 characters>",
    }


@pytest.mark.parametrize("text", ["長い文章です。" * 100, '{"a":1,"b":[2,3]},' * 100, "word, " * 200])
def test_text_under_a_key_of_data_is_kept(text: str) -> None:
    assert snapshot({"data": text}) == {"data": text}


def test_a_dict_that_changes_meanwhile_is_survived() -> None:
    changing: dict[Any, Any] = {}

    stop = threading.Event()

    def change() -> None:
        for number in itertools.count():
            changing[number % 500] = [number]
            changing.pop((number * 7) % 500, None)
            if stop.is_set():
                return

    thread = threading.Thread(target=change)
    thread.start()
    try:
        taken = [snapshot({"changing": changing}) for _ in range(300)]
    finally:
        stop.set()
        thread.join()
    assert all(isinstance(each["changing"], dict) for each in taken)


def test_objects_like_arrays_and_frames_are_not_read() -> None:
    class Frame:
        __module__ = "pandas"

        def __array__(self, *args: Any) -> Any:
            raise AssertionError("read")

        def __getattr__(self, name: str) -> Any:
            raise AssertionError("read")

        def __len__(self) -> int:
            raise AssertionError("read")

        def __iter__(self) -> Any:
            raise AssertionError("read")

        def __bool__(self) -> bool:
            raise ValueError("The truth value of a Frame is ambiguous")

    assert "Frame>" in snapshot(Frame())


def test_a_plugin_is_asked_for_unknown_types_and_its_answer_is_bounded() -> None:
    taken = snapshot([object()], serialize=lambda value: {"kind": type(value).__name__, "text": "x" * 1_000_000})
    assert taken[0]["kind"] == "object"
    assert len(taken[0]["text"]) < 262_144 + 100


def test_a_plugin_that_answers_with_the_same_type_is_not_asked_forever() -> None:
    assert snapshot(object(), serialize=lambda value: object()) == "<builtins.object>"


def test_a_plugin_that_raises_leaves_the_rest() -> None:
    assert snapshot({"a": object(), "b": 1}, serialize=lambda value: 1 / 0) == {
        "a": "<builtins.object: ZeroDivisionError while it was copied>",
        "b": 1,
    }


def test_an_error_whose_text_cannot_be_read_has_its_type() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert "Mute whose text cannot be read>" in error_text(Mute())
    assert error_text(ValueError("x" * 10_000)).endswith("x… [6000 more characters]")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(object()) | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner) | st.tuples(inner),
)


@given(anything)
def test_whatever_it_takes_is_json(value: Any) -> None:
    orjson.loads(dump_json(snapshot(value)))
