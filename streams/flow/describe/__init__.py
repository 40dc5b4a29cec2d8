"""Turns records into rows, without any state. Past this point nobody is named."""
