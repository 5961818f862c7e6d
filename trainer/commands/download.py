"""`download`: the Kaggle data set, through kagglehub and with the user's own credentials."""

from pathlib import Path

from trainer.errors import TrainerError

DATASET = "paultimothymooney/chest-xray-pneumonia"
_HOW = (
    "Make a free Kaggle account, create an API token under Settings > API, and save it as "
    "~/.kaggle/kaggle.json, or set KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY. Or "
    f"download the archive of the data set {DATASET} in a browser and give the .zip to --data."
)


def download() -> Path:
    """Fetch the data set (2.3 GB) into kagglehub's cache, or find it there.

    Returns:
        The folder, to be given to `fit --data`.

    Raises:
        TrainerError: No credentials, no network, or no permission; the message says what to do.
    """
    import kagglehub
    from requests.exceptions import RequestException

    try:
        return Path(kagglehub.dataset_download(DATASET))
    except RequestException as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403, 404):
            raise TrainerError(
                f"Kaggle refused the download (status {status}): it wants to know who asks. {_HOW}"
            ) from error
        raise TrainerError(
            f"Kaggle cannot be reached ({type(error).__name__}). Check the network, then try "
            f"again: what is already there is kept. {_HOW}"
        ) from error
    except OSError as error:
        raise TrainerError(
            f"The download cannot be written ({error.strerror or error}); it needs 5 GB. Free "
            "some space, or set KAGGLEHUB_CACHE to another folder."
        ) from error
    except Exception as error:  # kagglehub raises its own kinds, which differ between versions
        raise TrainerError(
            f"Kaggle did not hand out the data set ({type(error).__name__}: {error}). {_HOW}"
        ) from error
