"""`python -m schemas`: write the published schemas and references; with `--check`, only say whether they are fresh."""

from __future__ import annotations

import argparse
import sys

from schemas.publish import HERE, published


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m schemas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    check = parser.parse_args().check
    files = published()
    stale = [path for path, content in files.items() if not path.exists() or path.read_text("utf-8") != content]
    gone = [path for path in (HERE / "json").glob("*.schema.json") if path not in files]
    for path in [*stale, *gone]:
        done = "out of date" if check else "removed" if path in gone else "written"
        print(f"{path.relative_to(HERE.parent)}: {done}")
    if not check:
        for path in stale:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], "utf-8")
        for path in gone:
            path.unlink()
    return 1 if check and (stale or gone) else 0


if __name__ == "__main__":
    sys.exit(main())
