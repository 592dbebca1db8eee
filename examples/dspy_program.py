"""A dspy program that answers a question, recorded without a change to it.

    python examples/dspy_program.py

Runs offline: a scripted server in this process plays the model. Needs dspy.
"""

from __future__ import annotations

import os
import tempfile

os.environ["DSPY_CACHEDIR"] = tempfile.mkdtemp()  # an empty cache, so that the model is asked

import dspy
import treerings
from treerings.testing import ModelServer

SCRIPTED = "[[ ## reasoning ## ]]\n410 mm is little.\n\n[[ ## answer ## ]]\nYes, 1976 was dry.\n\n[[ ## completed ## ]]"


def main() -> None:
    treerings.instrument("dspy")
    with ModelServer() as server:
        server.say(SCRIPTED)
        dspy.configure(lm=dspy.LM("openai/gpt-4o-mini", api_base=server.base_url, api_key="unused"))
        program = dspy.ChainOfThought("question -> answer")
        print(program(question="Was 1976 a dry year?").answer)
    print(treerings.flush())


if __name__ == "__main__":
    main()
