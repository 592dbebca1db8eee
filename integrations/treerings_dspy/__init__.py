"""dspy: see the page in docs."""
