"""What the service says of itself: logs, metrics, and the record of a request."""
