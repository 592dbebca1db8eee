"""agno, captured by wrapping its public methods: `treerings.instrument("agno")`."""
