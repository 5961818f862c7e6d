"""The bytes of a radiograph → a grey image, or a refusal that says why."""
