"""The model bundle: a folder that a trainer publishes and a service opens, whole or not at all."""
