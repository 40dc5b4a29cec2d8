"""`python -m streams.native COMMAND`: `build` builds the library, or says why it cannot; `check` runs lints and tests
of the crate; `lock` resolves the crates anew; `wheel-options` prints what `pip wheel` is to be told."""

from __future__ import annotations

import argparse
import sys

from streams.native import build


def main() -> int:
    """The exit code. A library that cannot be built is no failure, unless `--must` is given."""
    parser = argparse.ArgumentParser(prog="python -m streams.native", description=__doc__)
    parser.add_argument("command", choices=("build", "lock", "check", "wheel-options"))
    parser.add_argument("--must", action="store_true", help="exit 1 if the library cannot be built")
    given = parser.parse_args()
    if given.command == "wheel-options":
        print(build.wheel_options())
        return 0
    try:
        said = {"build": build.build, "lock": build.lock, "check": build.check}[given.command]()
    except build.BuildError as error:
        print(f"native front end: {error}", file=sys.stderr)
        optional = given.command == "build" or isinstance(error, build.NoCargoError)
        return int(given.must or not optional)
    print(f"native front end: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
