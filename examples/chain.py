"""One chain, one handler: a LangChain pipeline recorded by a single argument.

    python examples/chain.py

Runs offline: a scripted server in this process plays the model. Needs langchain-core and langchain-openai.
"""

from __future__ import annotations

import treerings
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from treerings.testing import ModelServer
from treerings_langchain import CallbackHandler


def summarise(text: str, base_url: str) -> str:
    """The text in one sentence."""
    model = ChatOpenAI(model="gpt-5-mini", base_url=base_url, api_key="unused")
    prompt = ChatPromptTemplate.from_template("Summarise in one sentence: {text}")
    chain = prompt | model | StrOutputParser()
    return chain.invoke({"text": text}, config={"callbacks": [CallbackHandler()]})


def main() -> None:
    with ModelServer() as server:
        server.say("An oak grows a ring every year.", usage={"input_tokens": 214, "output_tokens": 9})
        with treerings.labels(session_id="example", team="docs"):
            print(
                summarise("Every year an oak adds one ring, wide after rain and narrow after drought.", server.base_url)
            )
    print(treerings.flush())


if __name__ == "__main__":
    main()
