"""Event time: watermarks, timers, and the expiry of state."""
