"""An agent of smolagents that writes code; the tools that the code calls are below it.

    python examples/smolagents_code.py

Runs offline: a scripted server in this process plays the model. Needs smolagents and openai.
"""

from __future__ import annotations

import treerings
from smolagents import CodeAgent, LogLevel, OpenAIModel, tool
from treerings.testing import ModelServer

LOOKS_UP = """I compare two years.
<code>
print(rainfall(year=1975), rainfall(year=1976))
</code>"""

ANSWERS = """Now I know.
<code>
final_answer("Yes, 1976 was dry.")
</code>"""


@tool
def rainfall(year: int) -> str:
    """The rain of a year in mm.

    Args:
        year: The year.
    """
    return f"{year}: {410 if year == 1976 else 730} mm"


def main() -> None:
    treerings.instrument("smolagents")
    with ModelServer() as server:
        server.say(LOOKS_UP).say(ANSWERS)
        model = OpenAIModel("gpt-4o-mini", api_base=server.base_url, api_key="unused")
        agent = CodeAgent(tools=[rainfall], model=model, name="forester", verbosity_level=LogLevel.OFF)
        print(agent.run("Was 1976 a dry year?"))
    print(treerings.flush())


if __name__ == "__main__":
    main()
