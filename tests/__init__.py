"""All tests.

This file makes a package of the folder: a library has one called `tests`, too, and a mere folder gives way to it.
"""
