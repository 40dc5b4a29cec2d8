"""The one error of this package."""

from __future__ import annotations

from schemas.errors import WaybillError


class BrokerError(WaybillError):
    """A broker cannot be had. The message says what failed and, for one that was started, ends with its log."""
