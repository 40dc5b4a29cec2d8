"""Settings of the property tests here: a machine that is busy is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("waybill", deadline=None)
settings.load_profile("waybill")
