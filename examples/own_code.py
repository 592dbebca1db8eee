"""Own code in the tree, without any framework: steps, labels, usage of a model call, threads.

python examples/own_code.py && treerings totals --by agent,model
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import treerings

DOCUMENTS = {
    "oak": "An oak adds one ring a year.",
    "drought": "Dry years leave narrow rings.",
}


@treerings.step("retriever")
def search(word: str) -> list[str]:
    """The documents that contain a word."""
    return [text for text in DOCUMENTS.values() if word in text]


@treerings.step("agent", "librarian")
def answer(question: str) -> str:
    """Look up every word of the question in parallel, then ask the model."""
    with ThreadPoolExecutor() as pool:
        hits = list(pool.map(treerings.carry(search), question.split()))
    return ask_model(question, context=[text for found in hits for text in found])


def ask_model(question: str, context: list[str]) -> str:
    """A model call that no integration knows: say what it used, and it is priced and counted."""
    with treerings.step("llm", "answer", model="gpt-5-mini", provider="openai", input=[question, *context]) as call:
        text = "Narrow: the year was dry."  # here your client would ask the provider
        call.set(output=text, usage=treerings.Usage(input_tokens=180, output_tokens=12))
    return text


def main() -> None:
    with treerings.labels(user_id="u-7", team="archive"), treerings.step("workflow", "question"):
        print(answer("rings drought"))
    print(treerings.flush())


if __name__ == "__main__":
    main()
