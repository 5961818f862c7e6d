"""Serves a model bundle over HTTP: one image in, one screening out."""
