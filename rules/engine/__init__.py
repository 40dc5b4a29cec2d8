"""Reads rule files and judges any frame by them."""
