"""`make test-containers`: have a Docker engine, then run the tests of containers, then stop what was started."""

from __future__ import annotations

import subprocess
import sys

from tests.containers import engine

PYTEST = (sys.executable, "-m", "pytest", "tests/containers", "-m", "containers", "-v", "-rP", "--durations=0")


def main() -> int:
    """Returns pytest's exit code, or 1 with one message when there is nothing to run the tests on."""
    try:
        with engine.running() as where:
            print(f"Docker {engine.version()}: {where}; Compose: {' '.join(engine.compose()) or 'none'}", flush=True)
            return subprocess.call([*PYTEST, *sys.argv[1:]])
    except (engine.SetupError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
