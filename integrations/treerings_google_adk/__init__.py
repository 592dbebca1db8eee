"""google-adk: see the page in docs."""
