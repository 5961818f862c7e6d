"""Tests of `shared.imaging.dicom`."""
