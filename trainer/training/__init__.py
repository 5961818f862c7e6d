"""Fitting one network: batches, the loop over epochs, and what a killed run goes on from."""
