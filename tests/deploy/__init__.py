"""What `deploy/` holds, checked without a cluster and without a monitoring system."""
