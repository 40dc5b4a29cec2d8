"""Traces: the way of each parcel with an alert or order, read back from its events."""
