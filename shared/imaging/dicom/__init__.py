"""A DICOM file (PS3.10) of a chest radiograph to a grey image: loaded when the first one comes."""
