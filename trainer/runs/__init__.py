"""What a run leaves: its folder, the published bundle, and where both came from."""
