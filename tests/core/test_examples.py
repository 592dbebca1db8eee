"""Every example runs offline and records what it promises."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from treerings import open_store
from treerings.testing import outline

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

OUTLINES = {
    "ag2_agent.py": """
agent writer
  llm gpt-4o-mini
  tool task_researcher
    agent researcher
      llm gpt-4o-mini
      tool rainfall
      llm gpt-4o-mini
  llm gpt-4o-mini""",
    "agent_framework_agents.py": """
agent writer
  llm gpt-4o-mini
  tool researcher
    agent researcher
      llm gpt-4o-mini
      tool rainfall
      llm gpt-4o-mini
  llm gpt-4o-mini""",
    "agno_agent.py": """
agent forester
  llm OpenAIChat
  tool rainfall
  llm OpenAIChat""",
    "smolagents_code.py": """
agent forester
  llm gpt-4o-mini
  tool python_interpreter
    tool rainfall
    tool rainfall
  llm gpt-4o-mini
  tool python_interpreter""",
    "haystack_pipeline.py": """
workflow weather
  node prompt
  agent forester
    llm chat_generator
    tool rainfall
    llm chat_generator""",
    "autogen_team.py": """
workflow Swarm
  agent researcher
    llm OpenAIChatCompletionClient
    tool rainfall
    llm OpenAIChatCompletionClient
    handoff transfer_to_writer
  agent writer
    llm OpenAIChatCompletionClient""",
    "google_adk_agent.py": """
workflow weather
  agent forester
    llm LiteLlm
    tool rainfall
    llm LiteLlm""",
    "anthropic_sdk.py": """
agent tool_runner
  llm messages
  tool rainfall
  llm messages""",
    "google_sdk.py": """
agent send_message
  llm generate_content
  tool rainfall
  llm generate_content""",
    "openai_sdk.py": """
agent forester
  llm chat.completions
  tool rainfall
  llm chat.completions""",
    "crewai_crew.py": """
workflow ring report
  task look up
    agent researcher
      llm gpt-4o-mini
      tool rainfall
      llm gpt-4o-mini
  task write
    agent writer
      llm gpt-4o""",
    "dspy_program.py": """
workflow ChainOfThought
  chain Predict
    llm LM""",
    "chain.py": """
workflow RunnableSequence
  llm ChatOpenAI""",
    "langgraph_team.py": """
workflow ring report
  agent researcher
    llm ChatOpenAI
    tool rainfall
    llm ChatOpenAI
  agent writer
    llm ChatOpenAI""",
    "llamaindex_query_and_agent.py": """
agent forester
  llm OpenAI
  tool notes
    workflow RetrieverQueryEngine
      retriever VectorIndexRetriever
        embedding OpenAIEmbedding
      chain CompactAndRefine
        llm OpenAI
  llm OpenAI""",
    "litellm_calls.py": """
task weather
  llm completion error
  llm completion""",
    "mcp_tools.py": """
agent forester
  tool weather://stations
  tool rainfall""",
    "openai_agents_team.py": """
workflow Agent workflow
  agent researcher
    llm generation
    tool rainfall
    llm generation
    handoff writer
  agent writer
    llm generation""",
    "pydantic_ai_agent.py": """
agent forester
  llm OpenAIChatModel
  tool rainfall
  llm OpenAIChatModel""",
    "mixed_tree.py": """
agent supervisor
  llm ChatOpenAI
    llm chat.completions
  tool commission
    workflow archive
      task look up
        agent researcher
          llm gpt-4o-mini
            llm chat.completions
          tool weather_notes
            workflow RetrieverQueryEngine
              llm OpenAI
                llm chat.completions
          llm gpt-4o-mini
            llm chat.completions
  llm ChatOpenAI
    llm chat.completions""",
    "own_code.py": """
workflow question
  agent librarian
    retriever search
    retriever search
    llm answer""",
}


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(OUTLINES)


@pytest.mark.parametrize("name", OUTLINES)
def test_an_example_runs_and_is_recorded(name: str, tmp_path: Path) -> None:
    for package in re.findall(r"^(?:from|import) (\w+)", (EXAMPLES / name).read_text("utf-8"), re.MULTILINE):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    store_url = f"sqlite:///{tmp_path / 'runs.db'}"
    environment = {**os.environ, "TREERINGS_STORE": store_url, "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = [sys.executable, "-W", "error::DeprecationWarning:__main__", str(EXAMPLES / name)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("0 pending, 0 dropped\n")
    store = open_store(store_url)
    workflow = store.workflow(store.workflows()[0].id)
    store.close()
    assert workflow is not None
    wanted = OUTLINES[name].strip().splitlines()
    kinds = {line.split()[0] for line in wanted}
    shown = [line.strip() for line in outline(workflow).splitlines() if line.split()[0] in kinds]
    assert shown == [line.strip() for line in wanted]
