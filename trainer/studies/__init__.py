"""Studies: every recipe on every fold by every seed, each trained once, and what differs."""
