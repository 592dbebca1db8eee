"""llamaindex: see the page in docs."""
