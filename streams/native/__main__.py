"""`python -m streams.native COMMAND`: `tables` writes what the library is built with; `build` builds it, or says why
not; `lock` resolves the crates anew; `check` runs the linters and tests of the crate."""

from __future__ import annotations

import argparse
import sys

from streams.native import build


def main() -> int:
    """The exit code. Without a toolchain `build` succeeds, unless `--must` is given."""
    parser = argparse.ArgumentParser(prog="python -m streams.native", description=__doc__)
    parser.add_argument("command", choices=("tables", "build", "lock", "check"))
    parser.add_argument("--must", action="store_true", help="exit 1 if the library cannot be built")
    given = parser.parse_args()
    if given.command == "tables":
        from streams.native.tables import tables  # needs more than a toolchain

        (build.HERE / "src" / "tables.rs").write_text(tables(), encoding="utf-8")
        return 0
    try:
        said = {"build": build.build, "lock": build.lock, "check": build.check}[given.command]()
    except build.BuildError as error:
        print(f"native front end: {error}", file=sys.stderr)
        return int(given.must or given.command != "build")
    print(f"native front end: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
