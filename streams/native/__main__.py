"""`python -m streams.native COMMAND`: `build` builds the library, or says why it cannot; `lock` resolves the crates
anew; `check` runs format, lints and tests of the crate."""

from __future__ import annotations

import argparse
import sys

from streams.native import build


def main() -> int:
    """The exit code. Without a toolchain `build` succeeds, unless `--must` is given."""
    parser = argparse.ArgumentParser(prog="python -m streams.native", description=__doc__)
    parser.add_argument("command", choices=("build", "lock", "check"))
    parser.add_argument("--must", action="store_true", help="exit 1 if the library cannot be built")
    given = parser.parse_args()
    try:
        said = {"build": build.build, "lock": build.lock, "check": build.check}[given.command]()
    except build.BuildError as error:
        print(f"native front end: {error}", file=sys.stderr)
        return int(given.must or given.command != "build")
    print(f"native front end: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
