"""agno: see the page in docs."""
