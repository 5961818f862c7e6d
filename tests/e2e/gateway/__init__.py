"""The gateway with real peers: Orthanc as archive, dcmtk as modality, dicom3tools as judge."""
