"""Finds faults of rule files, and writes a new one."""
