"""The tree on the terminal: what stands on a line, at every width, whatever is in the names."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import pytest
from rendering_samples import Builder, printed, support_desk
from rich.cells import cell_len
from rich.console import Console
from treerings.rendering import Tree
from treerings.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from treerings.records import Workflow


def line_with(text: str, output: str) -> str:
    return next(line for line in output.splitlines() if text in line)


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("payloads", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, payloads: bool) -> None:
    workflow = support_desk()
    workflow.steps[2].input = {"question": "long " * 200, "list": list(range(50))}
    lines = printed(Tree(workflow, payloads=payloads), width).splitlines()
    assert max(map(cell_len, lines)) <= width


def test_a_line_says_kind_name_model_time_tokens_cost_and_status() -> None:
    line = line_with("gpt-5.2-chat", printed(Tree(support_desk())))
    assert line.split() == [
        "│",
        "├─",
        "✓",
        "llm",
        "ChatOpenAI",
        "gpt-5.2-chat",
        "250ms",
        "1,204",
        "1,024",
        "86",
        "$0.00047",
    ]


def test_the_agent_is_said_where_it_changes() -> None:
    output = printed(Tree(support_desk()))
    assert "researcher" in line_with("agent researcher", output).replace("agent researcher", "")
    assert "researcher" not in line_with("look_up_order", output)


def test_without_room_for_a_model_column_the_model_is_the_name_of_a_call() -> None:
    assert "llm gpt-5.2-chat" in printed(Tree(support_desk()), 80)


def test_plumbing_is_folded_into_the_nearest_shown_step() -> None:
    output = printed(Tree(support_desk()))
    assert "node agent" not in output
    assert "1 plumbing step not shown: --all" in output


def test_all_shows_plumbing() -> None:
    output = printed(Tree(support_desk(), every_step=True))
    assert "node agent" in output
    assert "not shown" not in output


def test_plumbing_that_failed_by_itself_is_shown() -> None:
    b = Builder()
    root = b.add(None, "workflow", "run")
    b.add(root, "node", "router", attributes={"hidden": True}, status="error", error_type="KeyError", error="'next'")
    assert "node router" in printed(Tree(b.workflow))


def test_a_depth_limit_says_how_many_steps_are_below() -> None:
    output = printed(Tree(support_desk(), depth=1))
    assert "agent researcher +4 steps below" in output
    assert "look_up_order" not in output


def test_an_error_stands_beneath_its_step_on_one_line() -> None:
    lines = printed(Tree(support_desk())).splitlines()
    index = next(i for i, line in enumerate(lines) if "✗ llm" in line)
    assert lines[index + 1].endswith("RateLimitError: 429: slow down, please")


def test_an_error_that_came_up_through_the_tree_is_said_once() -> None:
    b = Builder()
    failed = {"status": "error", "error_type": "ValueError", "error": "no such city"}
    root = b.add(None, "workflow", "run", **failed)
    agent = b.add(root, "agent", "guide", **failed)
    b.add(agent, "tool", "weather", **failed)
    assert printed(Tree(b.workflow)).count("no such city") == 1


def test_an_attempt_after_the_first_says_its_number() -> None:
    assert "ChatOpenAI attempt 2" in printed(Tree(support_desk()))


def test_a_handoff_says_its_target() -> None:
    b = Builder()
    root = b.add(None, "workflow", "run")
    b.add(root, "handoff", "transfer", attributes={"handoff_to": "billing"})
    assert "handoff transfer → billing" in printed(Tree(b.workflow))


@pytest.mark.parametrize("status", ["running", "cancelled", "interrupted", "incomplete"])
def test_a_status_that_is_neither_ok_nor_error_is_a_word_too(status: str) -> None:
    b = Builder()
    root = b.add(None, "workflow", "run")
    b.add(root, "tool", "search", status=status, duration_ms=None)
    assert f"tool search {status}" in printed(Tree(b.workflow))


def test_an_unknown_cost_is_a_question_mark_and_a_partial_sum_has_a_plus() -> None:
    output = printed(Tree(support_desk()))
    assert line_with("house-model-7b", output).endswith("?")
    assert line_with("workflow support desk", output).endswith("$0.0013+")
    assert "? + the cost of 1 call is unknown and in no sum" in output


def test_estimated_tokens_have_a_tilde() -> None:
    output = printed(Tree(support_desk()))
    assert "~3,120" in line_with("house-model-7b", output)
    assert "~5,430" in line_with("agent researcher", output)
    assert "~" not in line_with("gpt-5.2-chat", output)


def test_a_call_that_is_seen_twice_is_summed_once() -> None:
    b = Builder()
    root = b.add(None, "workflow", "run")
    outer = b.call(root, (100, 10), "0.5", counted=False)
    b.call(outer, (100, 10), "0.5", source="openai")
    assert line_with("workflow run", printed(Tree(b.workflow))).split()[-3:] == ["100", "10", "$0.5000"]


def test_the_one_request_below_a_model_call_is_plumbing() -> None:
    b = Builder()
    root = b.add(None, "workflow", "run")
    outer = b.call(root, (100, 10), "0.5", counted=False)
    middle = b.call(outer, (100, 10), "0.5", source="litellm", counted=False)
    b.call(middle, (100, 10), "0.5", source="openai")
    output = printed(Tree(b.workflow))
    assert output.count(" llm ") == 1
    assert "2 plumbing steps not shown: --all" in output
    assert printed(Tree(b.workflow, every_step=True)).count(" llm ") == 3


def test_requests_below_a_model_call_are_shown_where_there_are_several() -> None:
    b = Builder()
    root = b.add(None, "workflow", "run")
    outer = b.call(root, (100, 10), "0.5", counted=False)
    b.call(outer, (100, 10), "0.5", source="openai")
    b.call(outer, (100, 10), "0.5", source="openai")
    assert printed(Tree(b.workflow)).count(" llm ") == 3


def test_a_cache_hit_is_free_and_says_so() -> None:
    b = Builder()
    root = b.add(None, "workflow", "run")
    b.call(root, None, "0", usage=Usage(12, 3, cache_hit=True))
    line = line_with("llm", printed(Tree(b.workflow)))
    assert "cache hit" in line
    assert line.endswith("$0")


def test_a_running_workflow_has_no_duration() -> None:
    b = Builder()
    b.add(None, "workflow", "run", status="running", duration_ms=None)
    assert printed(Tree(b.workflow)).startswith("● run  running · 2026")


def test_escapes_in_names_errors_and_payloads_do_not_reach_the_terminal() -> None:
    b = Builder()
    evil = "\x1b[31mred\x1b]0;title\x07\x1b[2J\x9b5m\x08\u202egnp.exe"
    root = b.add(
        None, "workflow", evil, status="error", error_type=evil, error=evil, session_id=evil, labels={evil: evil}
    )
    root.input = {"text": evil}
    root.output = evil
    b.call(root, (1, 1), "0.1", model=evil)
    output = printed(Tree(b.workflow, payloads=True), 200)
    assert not set(output) & {"\x1b", "\x9b", "\x07", "\x08", "\u202e"}
    assert "red" in output


def test_wide_names_keep_the_columns_aligned() -> None:
    b = Builder()
    root = b.add(None, "workflow", "調査レポート👩\u200d🚀")
    b.call(root, (100, 10), "0.5")
    lines = [line for line in printed(Tree(b.workflow)).splitlines() if "$0.5000" in line]
    assert len({cell_len(line[: line.index("$")]) for line in lines}) == 1


def test_names_are_cut_in_the_middle() -> None:
    b = Builder()
    root = b.add(None, "workflow", "run")
    b.add(root, "tool", "look_up_the_customer_" + "very_" * 20 + "long_name")
    assert "tool look_up_the_customer_…y_very_very_long_name" in printed(Tree(b.workflow), 60)


def test_a_tree_deeper_than_the_terminal_is_wide_says_the_depth() -> None:
    b = Builder()
    step = b.add(None, "workflow", "run")
    for number in range(200):
        step = b.add(step, "chain", f"level {number}")
    output = printed(Tree(b.workflow), 120)
    assert "⋮ 200 ✓ chain level 199" in output


def test_steps_whose_parent_is_missing_are_shown() -> None:
    b = Builder()
    root = b.add(None, "workflow", "run")
    b.add(root, "tool", "orphan").parent_id = "f" * 32
    assert "tool orphan" in printed(Tree(b.workflow))


def test_payloads_show_text_as_it_is_and_cut_long_ones() -> None:
    b = Builder()
    root = b.add(None, "workflow", "run")
    root.input = "first line\n" + "\n".join(map(str, range(50)))
    output = printed(Tree(b.workflow, payloads=True))
    assert "  in  first line" in output
    assert "… 39 more lines: --json shows all" in output


def test_a_terminal_without_unicode_gets_ascii() -> None:
    class AsciiConsole(Console):
        encoding = "ascii"

    console = AsciiConsole(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(Tree(support_desk()))
    output = console.export_text()
    assert output.isascii()
    assert "|- + agent supervisor" in output


def agents_with_calls(steps: int) -> Workflow:
    b = Builder()
    root = b.add(None, "workflow", "run")
    for number in range(steps // 10):
        agent = b.add(root, "agent", f"agent {number}")
        for _ in range(8):
            b.call(agent, (100, 10), "0.001")
        b.add(agent, "tool", "look_up_order", status="error", error_type="KeyError", error=f"{number}")
    return b.workflow


def chain(steps: int) -> Workflow:
    b = Builder()
    step = b.add(None, "workflow", "run")
    for number in range(steps):
        step = b.add(step, "chain", f"level {number}")
    return b.workflow


@pytest.mark.parametrize("shape", [agents_with_calls, chain])
def test_time_grows_linearly_with_the_number_of_steps(shape: Callable[[int], Workflow]) -> None:
    def seconds(workflow: Workflow) -> float:
        gc.collect()
        gc.disable()  # what a collection costs depends on all that other tests have imported
        begin = time.process_time()
        printed(Tree(workflow), 160, color=True)
        used = time.process_time() - begin
        gc.enable()
        return used

    small, large = shape(1_000), shape(10_000)
    assert min(seconds(large) for _ in range(3)) < 40 * min(seconds(small) for _ in range(3))
