"""`python -m streams.ops.broker`: fetch what the private Kafka needs. `--lock`: resolve its jars anew first."""

from __future__ import annotations

import sys
import time

from streams.ops.broker import BrokerError, jars, prepare


def main() -> int:
    """Returns the exit code; a failure is one message on standard error."""
    start = time.monotonic()
    try:
        if "--lock" in sys.argv[1:]:
            jars.lock()
        image = prepare()
    except BrokerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Apache Kafka is ready in {image.root.parent} ({time.monotonic() - start:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
