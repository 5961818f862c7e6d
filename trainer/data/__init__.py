"""The images: found, read, grouped by patient, split, audited, augmented; and what is no X-ray."""
