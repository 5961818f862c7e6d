"""The DICOM node: what comes in, and what goes out."""
