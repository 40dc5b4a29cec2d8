"""Event time: watermarks, timers, and when what is kept expires."""
