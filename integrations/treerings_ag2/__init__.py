"""ag2: see the page in docs."""
