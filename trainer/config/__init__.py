"""What a run can be told: its options, and the recipe of a network."""
