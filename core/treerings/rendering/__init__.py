"""Trees and tables for a terminal, printed with rich: `Console().print(Tree(workflow))`."""

from __future__ import annotations

from .listing import TotalsTable, WorkflowTable, short_ids
from .text import clean
from .tree import Tree

__all__ = ["TotalsTable", "Tree", "WorkflowTable", "clean", "short_ids"]
