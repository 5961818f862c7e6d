"""The network: built, extended, run, and written as the graph that is served."""
