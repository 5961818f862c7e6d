"""What an operator sees: log lines, metrics, probes."""
