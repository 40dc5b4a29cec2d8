"""Faults of rule files, and a file to begin with."""
