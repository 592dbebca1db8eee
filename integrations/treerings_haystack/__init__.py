"""haystack: see the page in docs."""
