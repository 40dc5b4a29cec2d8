"""The catalogue as pages to read."""
