"""The same flow over files, without a broker."""
