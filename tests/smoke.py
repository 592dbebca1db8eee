"""The installed wheel does its work: run by `.ci/run` where neither the sources nor the test packages are."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Capture a LangChain run into SQLite, and read it back through the command line."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TREERINGS_DATA_DIR"] = folder
        import treerings

        assert "site-packages" in str(treerings.__file__), treerings.__file__
        assert treerings.__version__ in treerings_says("--version")
        assert "show" in treerings_says("--help")
        listed = treerings_says("plugins")
        assert "sqlite" in listed, listed
        assert "langchain" in listed, listed

        from langchain_core.language_models import GenericFakeChatModel
        from langchain_core.messages import AIMessage
        from treerings_langchain import CallbackHandler

        usage = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
        model = GenericFakeChatModel(messages=iter([AIMessage("Ninety years.", usage_metadata=usage)]))
        chain = model | (lambda message: message.content)
        answer = chain.invoke("How old is the oak?", config={"callbacks": [CallbackHandler()]})
        assert answer == "Ninety years."
        report = treerings.flush(timeout=30)
        assert (report.recorded, report.stored) == (3, 3), report
        assert list(Path(folder).glob("*.db")), "nothing in the data folder"

        shown = treerings_says("show", "last")
        assert "GenericFakeChatModel" in shown, shown
        assert "7" in treerings_says("totals"), shown
        print(f"treerings {treerings.__version__} from its wheel: captured, stored and shown")


def treerings_says(*arguments: str) -> str:
    """What the command prints; it must succeed."""
    command = Path(sys.executable).with_name("treerings")
    done = subprocess.run([str(command), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"treerings {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


if __name__ == "__main__":
    main()
