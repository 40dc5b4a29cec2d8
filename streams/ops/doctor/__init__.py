"""The doctor's checks: of the machine, and of the broker. Each says OK, WARN or FAIL, and what to do."""
