"""What is on disk until it is delivered: files, and rows about them."""
