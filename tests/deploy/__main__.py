"""`make helm`, `make apiserver`, `make collector`: get what the chart, and traces, are tested with."""

from __future__ import annotations

import sys

from tests.deploy import modules


def main() -> int:
    """Says what cannot be had. That is no fault: its tests say that they did not run."""
    make, what = modules.make, "Helm"
    if sys.argv[1:] == ["apiserver"]:
        make, what = modules.make_apiserver, "the API server"
    if sys.argv[1:] == ["collector"]:
        make, what = modules.make_collector, "OpenTelemetry's Collector"
    try:
        make()
    except modules.ModulesError as error:
        print(f"{what} cannot be had ({error}); the tests that need it will not run", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
