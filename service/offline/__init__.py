"""Screening without HTTP: folders and files, on one machine."""
