"""haystack, captured through its own tracing: `treerings.instrument("haystack")`."""
