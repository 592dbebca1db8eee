"""google: see the page in docs."""
