"""What arrives as CR or DX goes to the gateway; what does not get there is sent again.

Runs within Orthanc, by its Python plugin.
"""

import json
import threading

import orthanc

RADIOGRAPHS = ("CR", "DX")
PAUSE_SECONDS = 5

stopping = threading.Event()


def route(instance: str) -> None:
    """Has an instance sent by a job: it outlives a restart, and fails where the gateway is away."""
    series = json.loads(orthanc.RestApiGet(f"/instances/{instance}/series"))
    if series["MainDicomTags"].get("Modality") in RADIOGRAPHS:
        job = {"Resources": [instance], "Synchronous": False}
        orthanc.RestApiPost("/modalities/gateway/store", json.dumps(job))


def send_again() -> None:
    """Has the jobs that failed tried again, every few seconds."""
    while not stopping.wait(PAUSE_SECONDS):
        for job in json.loads(orthanc.RestApiGet("/jobs?expand")):
            if (job["Type"], job["State"]) == ("DicomModalityStore", "Failure"):
                orthanc.RestApiPost(f"/jobs/{job['ID']}/resubmit", "")


def on_change(change: int, level: int, resource: str) -> None:
    """Called by Orthanc when something has changed."""
    if change == orthanc.ChangeType.NEW_INSTANCE:
        route(resource)
    elif change == orthanc.ChangeType.ORTHANC_STARTED:
        threading.Thread(target=send_again, daemon=True).start()
    elif change == orthanc.ChangeType.ORTHANC_STOPPED:
        stopping.set()


orthanc.RegisterOnChangeCallback(on_change)
