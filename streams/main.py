"""The worker as Faust's own command line finds it: `faust -A streams.main worker`."""

from __future__ import annotations

from streams.app import build
from streams.ops.preflight import checked
from streams.settings import load
from streams.worker.instance import claimed

app = build(claimed(checked(load())))
