"""What the machine has, shared among requests: cores, places, bytes."""
