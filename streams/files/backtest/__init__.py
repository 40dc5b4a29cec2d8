"""Two catalogues over the same files: which parcels gain or lose an alert, which change tier, and why."""
