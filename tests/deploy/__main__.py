"""`make helm`: get what the chart is tested with."""

from __future__ import annotations

import sys

from tests.deploy import modules


def main() -> int:
    """Says what cannot be had. That is no fault: its tests say that they did not run."""
    try:
        modules.make()
    except modules.ModulesError as error:
        print(f"Helm cannot be had ({error}); the tests of its chart will not run", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
