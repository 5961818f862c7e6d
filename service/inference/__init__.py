"""The network that answers: found, verified, loaded, and run."""
