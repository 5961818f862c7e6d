"""How fast the service answers, against what a user would write instead."""
