"""Traces: the way of each alerted parcel, read back from its events."""
