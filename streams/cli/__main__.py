"""`python -m streams.cli` is `waybill`."""

from streams.cli import main

main()
