"""Trees in JSON Lines files: all of it is in `treerings_jsonl.plugin`."""
