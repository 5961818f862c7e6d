"""`download` without credentials, network or space says what to do."""

from pathlib import Path

import kagglehub
import pytest
import requests

from trainer.commands.download import DATASET, download
from trainer.errors import TrainerError


def answer(error: Exception, monkeypatch: pytest.MonkeyPatch) -> str:
    def refuse(name: str) -> str:
        assert name == DATASET
        raise error

    monkeypatch.setattr(kagglehub, "dataset_download", refuse)
    with pytest.raises(TrainerError) as caught:
        download()
    return str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_without_credentials(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    response = requests.Response()
    response.status_code = status
    text = answer(requests.HTTPError("refused", response=response), monkeypatch)
    assert f"status {status}" in text
    assert "kaggle.json" in text
    assert "KAGGLE_USERNAME" in text
    assert "KAGGLE_API_TOKEN" in text


def test_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    text = answer(requests.ConnectionError("no route"), monkeypatch)
    assert "cannot be reached" in text
    assert "Or download the archive" in text


def test_without_space(monkeypatch: pytest.MonkeyPatch) -> None:
    text = answer(OSError(28, "No space left on device"), monkeypatch)
    assert "No space left on device" in text
    assert "KAGGLEHUB_CACHE" in text


def test_anything_else_is_still_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ValueError: odd" in answer(ValueError("odd"), monkeypatch)


def test_folder_is_handed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kagglehub, "dataset_download", lambda name: str(tmp_path / name))
    assert download() == tmp_path / DATASET
