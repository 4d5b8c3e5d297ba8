"""Which engine runs, and why."""
