"""Tests of the gateway: real DICOM peers on loopback, and a service that is a small fake."""
