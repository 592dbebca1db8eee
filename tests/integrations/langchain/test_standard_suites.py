"""LangChain's conformance suites have the same outcomes with everything captured as without us."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("langchain_tests")

SUITES = Path(__file__).with_name("standard_suites.py")
NOT_OURS = "not test_serdes"  # compares with a snapshot that a provider keeps


def test_the_standard_suites_have_the_same_outcomes(tmp_path: Path) -> None:
    report, kinds = tmp_path / "report.xml", tmp_path / "kinds"
    arguments = [str(SUITES), f"--junitxml={report}", "-p", "no:cacheprovider", "-k", NOT_OURS]

    run = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        env={**os.environ, "REPORT_TO": str(kinds)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    turns: dict[str, dict[str, str]] = {"bare": {}, "captured": {}}
    for case in ElementTree.parse(report).iter("testcase"):
        outcome = next((part.tag for part in case if part.tag in ("failure", "error", "skipped")), "passed")
        name = f"{case.get('classname')}.{case.get('name')}"
        turn = "captured" if "captured" in name else "bare"
        turns[turn][name.replace(turn, "")] = outcome
    assert turns["captured"] == turns["bare"], run.stdout
    assert set(turns["bare"].values()) == {"passed", "skipped"}, run.stdout
    assert list(turns["bare"].values()).count("passed") > 80
    assert set(kinds.read_text().split()) >= {"llm", "tool", "retriever", "workflow"}
