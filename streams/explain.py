"""An error in one line, for people: of our own errors what they say, of librdkafka's what it means."""

from __future__ import annotations

import traceback
from pathlib import Path

from schemas.errors import WaybillError

_ROOT = Path(__file__).resolve().parents[1]
_OURS = tuple(str(_ROOT / name) for name in ("streams", "rules", "schemas", "desk"))


def explain(error: BaseException) -> str:
    """What went wrong. Of an error that is a fault of the program only kind and place: its text may quote data."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if isinstance(error, WaybillError):
        return str(error)
    if type(error).__name__ == "KafkaException":  # by name: importing Kafka takes longer than most commands
        from streams.kafka.errors import said

        return f"kafka: {said(error)}"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(_OURS)] or frames[-1:]
    where = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno} in {ours[-1].name}" if ours else ""
    kind = type(error)
    return f"unexpected {kind.__module__}.{kind.__qualname__}{where}"
