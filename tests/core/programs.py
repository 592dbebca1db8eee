"""What the fixture `run_program` is, for annotations."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import TypeAlias

RunProgram: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
