"""The workflow of GitHub tries every integration, with what its check needs."""

from __future__ import annotations

import re

from update_docs_output import ROOT, integrations_here

WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")


def test_every_integration_is_tried() -> None:
    job = WORKFLOW.partition("\n  integrations:\n")[2]
    listed = job.partition("        integration:\n")[2].partition("        include:\n")[0]
    assert re.findall(r"- ([\w-]+)", listed) == [integration.name for integration in integrations_here()]


def test_what_their_checks_need_is_installed() -> None:
    needs = dict(re.findall(r'- \{integration: ([\w-]+), needs: "([^"]+)"\}', WORKFLOW))
    for integration in integrations_here():
        installed = f"{needs.get(integration.name, '')} ".replace("[openai]", " openai ")
        for package in integration.probe_needs:
            name = re.sub(r"[._]", "-", package)
            assert re.search(rf"(^|\s){name}(\s|>)", installed), f"{integration.name} needs {name}"
