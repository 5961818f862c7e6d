"""What a run says of itself while it works."""

import re

import pytest

from trainer.console import bar, duration, say
from trainer.model.backend import load_keras


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.4, "4 s"), (89, "89 s"), (100, "2 min"), (3000, "50 min"), (12_000, "3 h 20 min")],
)
def test_durations_in_words(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_labels_line_up(capsys: pytest.CaptureFixture[str]) -> None:
    say("Data", "here")
    say("", "more")
    say("a name too long", "beside")
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.index("here") == second.index("more")
    assert third == "a name too long beside"


def test_bar_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("Reading") as progress:
        progress(1, 2)
        progress(2, 2)
    assert capsys.readouterr().err == ""


def test_time_of_a_training_is_told_after_some_batches(capsys: pytest.CaptureFixture[str]) -> None:
    load_keras()
    from trainer.training.callbacks import Progress

    progress = Progress(epochs=3, steps=20, done=1, shown=True, label="Training")
    for batch in range(40):
        progress.on_train_batch_end(batch)
    progress.on_train_end()
    lines = re.findall(r"training will take about \d+ (?:s|min)", capsys.readouterr().err)
    assert len(lines) == 1
