"""`python -m tests.streams.demo.shown N`: the demo's view with so many alerts, until SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
import time

from streams.cli.views.demo import View
from tests.streams.cli.test_alert_view import alert, change


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    view = View("en", time.monotonic())
    for number in range(int(sys.argv[1])):
        view.change(change(alert(f"10000000{number:05}")))
    view.first_alert_s = 1.5 if view.first_alert_s else None
    with view:
        view.say("worker")
        while not stop.wait(0.05):  # nothing more comes: the display keeps up with the window by itself
            pass
    view.summary()


if __name__ == "__main__":
    main()
