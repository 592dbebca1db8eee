"""Tables of workflows and totals, and the figures in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from rendering_samples import printed, support_desk
from rich.cells import cell_len
from treerings.events import Status
from treerings.records import Totals, Workflow
from treerings.rendering import TotalsTable, WorkflowTable, clean, figures, short_ids

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def workflows() -> list[Workflow]:
    flow = support_desk()
    second = replace(flow, id="0197b2f0a1b37000800000000000000b", name="a very long name " * 10, status=Status.ERROR)
    return [replace(flow, steps=[]), second]


def groups() -> list[Totals]:
    return [
        Totals(
            key={"agent": "researcher"}, workflows=1, steps=6, llm_calls=3, input_tokens=9_000, cost_usd=Decimal("0.75")
        ),
        Totals(key={"agent": "writer"}, workflows=1, steps=1, llm_calls=1, unpriced_calls=1, input_tokens=100),
        Totals(key={"agent": None}, workflows=1, steps=2, cost_usd=Decimal("0.25"), llm_calls=1, estimated_calls=1),
    ]


def total() -> Totals:
    sums = Totals()
    for group in groups():
        sums.merge(group)
    return sums


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_line_of_a_listing_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(cell_len, printed(WorkflowTable(workflows(), NOW), width).splitlines())) <= width


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_line_of_totals_is_wider_than_the_terminal(width: int) -> None:
    output = printed(TotalsTable(["agent"], groups(), total()), width)
    assert max(map(cell_len, output.splitlines())) <= width


def test_cost_and_name_stay_when_columns_drop() -> None:
    head, first, *_ = printed(WorkflowTable(workflows(), NOW), 80).splitlines()
    assert head.split()[:2] == ["id", "workflow"]
    assert first.split()[-1] == "$0.0013+"


def test_the_wider_the_more_columns() -> None:
    def columns(width: int) -> list[str]:
        return printed(WorkflowTable(workflows(), NOW), width).splitlines()[0].split()

    assert set(columns(50)) < set(columns(80)) < set(columns(120)) < set(columns(200))


def test_totals_of_several_groups_end_in_their_sum() -> None:
    lines = printed(TotalsTable(["agent"], groups(), total()), 120).splitlines()
    assert lines[4].startswith("─────")
    assert lines[5].split()[0] == "total"
    assert "$1.00+" in lines[5]


def test_a_group_without_a_known_cost_is_a_question_mark() -> None:
    line = printed(TotalsTable(["agent"], groups(), total()), 80).splitlines()[2]
    assert line.rstrip().endswith("?")


def test_a_dimension_that_steps_do_not_have_is_named() -> None:
    assert "(none)" in printed(TotalsTable(["agent"], groups(), total()), 80)


def test_totals_of_everything_are_one_line_without_a_sum() -> None:
    assert "total" not in printed(TotalsTable([], [total()], total()), 120).split("\n")[1]


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "?"),
        ("0", "$0"),
        ("0.000123", "$0.00012"),
        ("0.0000001", "$0.00000010"),
        ("0.00000001", "<$0.0000001"),
        ("0.0123456", "$0.0123"),
        ("0.5", "$0.5000"),
        ("12.346", "$12.35"),
        ("1234567.8", "$1,234,567.80"),
        ("-0.02", "-$0.0200"),
    ],
)
def test_costs_have_sensible_digits(amount: str | None, text: str) -> None:
    assert figures.cost(None if amount is None else Decimal(amount)) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, ""),
        (0.0, "0ms"),
        (0.42, "0.42ms"),
        (12.4, "12ms"),
        (999.7, "1.00s"),
        (3_214.0, "3.21s"),
        (59_970.0, "1m 00s"),
        (3_723_000.0, "1h 02m"),
        (90_000_000.0, "1d 01h"),
    ],
)
def test_durations_are_short(milliseconds: float | None, text: str) -> None:
    assert figures.duration(milliseconds) == text


@pytest.mark.parametrize(("number", "text"), [(999_999, "999,999"), (1_234_567, "1.23M"), (10**12, "1.00T")])
def test_large_counts_are_shortened(number: int, text: str) -> None:
    assert figures.count(number) == text


def test_an_age_is_in_its_largest_unit() -> None:
    ages = [figures.age(NOW - timedelta(seconds=seconds), NOW) for seconds in (-5, 3, 45, 150, 7_300, 200_000)]
    assert ages == ["just now", "just now", "45s ago", "2m ago", "2h ago", "2d ago"]


def test_decimal_points_of_costs_stand_in_one_column() -> None:
    column = [text.rjust(12) for text in figures.align_costs(["$0.0123", "$12.35+", "$0.00012"])]
    assert len({text.index(".") for text in column}) == 1


def test_short_ids_are_as_long_as_it_takes_to_tell_them_apart() -> None:
    assert short_ids(["0197b2f0a1b27000", "0197b2f0a1c27000", "0297b2f0a1b27000"]) == [
        "0197b2f0a1b",
        "0197b2f0a1c",
        "0297b2f0a1b",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b", "a␀b"),
        ("two\nlines\tand tabs", "two lines and tabs"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;https://example.com\x1b\\link", "link"),
        ("\x1b\x1b[31m", "␛"),
        ("\x9b31m", "�31m"),
        ("lone \ud83d surrogate", "lone � surrogate"),
        ("\u202ereversed", "reversed"),
    ],
)
def test_what_a_terminal_would_act_on_is_gone(text: str, shown: str) -> None:
    assert clean(text) == shown
