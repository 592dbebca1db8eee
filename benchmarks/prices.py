"""What pricing costs: loading the bundled prices, and one price at a time.

python benchmarks/prices.py
"""

from __future__ import annotations

import time
import timeit
import tracemalloc

from treerings.prices import PriceBook
from treerings.prices_snapshot import bundled
from treerings.usage import Usage

CALLS = 20_000
USAGES = {
    "input and output": Usage(input_tokens=1200, output_tokens=300),
    "with cache and reasoning": Usage(
        input_tokens=12_000, output_tokens=3000, cache_read_tokens=8000, cache_write_tokens=1000, reasoning_tokens=2000
    ),
    "priority tier, long prompt": Usage(input_tokens=300_000, output_tokens=300, service_tier="priority"),
}


def main() -> None:
    """Print one line a measurement."""
    started = time.perf_counter()
    bundled()
    print(f"load the snapshot            {(time.perf_counter() - started) * 1e3:8.1f} ms")
    bundled.cache_clear()
    tracemalloc.start()
    snapshot = bundled()
    print(f"memory of the snapshot       {tracemalloc.get_traced_memory()[0] / 1e6:8.1f} MB")
    tracemalloc.stop()
    book = PriceBook(environ={})
    started = time.perf_counter()
    for name in snapshot.names("openai"):
        book.knows(name, provider="openai")
    print(
        f"resolve a new name           {(time.perf_counter() - started) / len(snapshot.names('openai')) * 1e6:8.1f} us"
    )
    for label, usage in USAGES.items():
        priced = min(
            timeit.repeat(
                lambda usage=usage: book.price(usage, model="gpt-5.4", provider="openai"), number=CALLS, repeat=3
            )
        )
        print(f"price: {label:<26} {priced / CALLS * 1e6:4.1f} us")


if __name__ == "__main__":
    main()
