"""autogen: see the page in docs."""
