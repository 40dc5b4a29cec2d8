"""The catalogue as HTML pages."""
