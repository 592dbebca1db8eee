"""`python -m treerings`."""

from .cli import main

main()
