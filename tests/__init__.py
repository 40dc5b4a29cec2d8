"""Tests: a package, since another one of this name may be installed."""
