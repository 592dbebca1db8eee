"""litellm: see the page in docs."""
