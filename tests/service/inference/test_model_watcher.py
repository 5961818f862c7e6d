"""Which model is served, and what happens to one that must not be."""

import io
import os
import shutil
import sys
import threading
import time
import weakref
from pathlib import Path

import onnx
import pytest

from service.inference import loaded_model, model_watcher
from service.inference.loaded_model import ServedModel, load_bundle
from service.inference.model_watcher import Engine
from service.inference.models_folder import NO_FOLDER
from shared.bundle.manifest import Draft
from shared.bundle.store import BundleInvalid, open_bundle, publish
from shared.onnx_network import OnnxNetwork
from tests.service.conftest import Start, logged, wait_until
from tests.service.tiny_bundle import NORMAL_LIKE, publish_tiny, tiny_draft, tiny_network


def version(engine: Engine) -> str:
    assert engine.model is not None
    return engine.model.manifest.version


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[0 if path.suffix == ".json" else len(content) // 2] ^= 1  # a manifest's own structure
    path.write_bytes(content)


@pytest.fixture
def engine(models: Path) -> Engine:
    engine = Engine(models, default=models / "default")
    engine.look()
    return engine


def test_the_bundle_that_current_names_is_served(models: Path, engine: Engine) -> None:
    assert version(engine) == (models / "current").read_text().strip()
    assert (engine.swaps, engine.refused, engine.complaint) == (0, 0, None)


def test_a_new_bundle_is_taken_up(models: Path, engine: Engine) -> None:
    new = publish_tiny(models, tiny_draft(threshold=0.3))
    engine.look()
    assert version(engine) == new.name
    assert engine.swaps == 1


def test_nothing_is_loaded_again_without_a_change(engine: Engine) -> None:
    model = engine.model
    engine.look()
    assert engine.model is model


@pytest.mark.parametrize("file", ["model.onnx", "model.json", "MODEL_CARD.md"])
def test_a_flipped_byte_is_never_served(models: Path, engine: Engine, file: str) -> None:
    good = version(engine)
    flip_a_byte(publish_tiny(models, tiny_draft(threshold=0.3)) / file)
    engine.look()
    assert version(engine) == good
    assert engine.refused == 1
    assert engine.complaint


def test_a_network_that_changes_while_it_is_loaded_is_never_served(
    models: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody copies another bundle over this one."""
    good = version(engine)
    publish_tiny(models, tiny_draft(threshold=0.3))

    class Changing(OnnxNetwork):
        def __init__(self, graph: Path) -> None:
            graph.write_bytes(tiny_network(not_a_number=True))
            super().__init__(graph)
            graph.write_bytes(tiny_network(not_a_number=True))

    monkeypatch.setattr(loaded_model, "OnnxNetwork", Changing)
    engine.look()
    assert version(engine) == good
    assert "model.onnx" in (engine.complaint or "")


def test_a_network_that_answers_nan_is_never_served(models: Path, engine: Engine) -> None:
    good = version(engine)
    publish_tiny(models, network=tiny_network(not_a_number=True))
    engine.look()
    assert version(engine) == good
    assert "finite" in (engine.complaint or "")


def test_a_network_that_does_not_load_is_never_served(models: Path, engine: Engine) -> None:
    good = version(engine)
    publish_tiny(models, network=b"no graph")
    engine.look()
    assert version(engine) == good


def test_a_network_with_other_heads_is_never_served(models: Path, engine: Engine) -> None:
    fewer = tiny_draft().model_dump() | {"heads": ("pneumonia",), "cause_calibration": None}
    good = version(engine)
    publish_tiny(models, Draft(**fewer))
    engine.look()
    assert version(engine) == good


@pytest.mark.parametrize("name", ["../elsewhere", "/etc", "gone", ""])
def test_current_cannot_lead_astray(models: Path, engine: Engine, name: str) -> None:
    good = version(engine)
    (models / "current").write_text(name)
    engine.look()
    assert version(engine) == good
    assert engine.refused == 1


@pytest.mark.parametrize("file", ["model.onnx", "model.json", "MODEL_CARD.md"])
def test_a_repaired_bundle_is_taken_up(models: Path, engine: Engine, file: str) -> None:
    new = publish_tiny(models, tiny_draft(threshold=0.3))
    whole = (new / file).read_bytes()
    flip_a_byte(new / file)
    engine.look()
    assert version(engine) != new.name
    (new / file).write_bytes(whole)
    engine.look()
    assert version(engine) == new.name
    assert engine.complaint is None


@pytest.fixture
def unreadable(models: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new bundle that could not be read once, and can be now."""
    new = publish_tiny(models, tiny_draft(threshold=0.3))

    def deny(_: Path) -> ServedModel:
        try:
            raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise BundleInvalid("cannot read model.onnx: Permission denied") from error

    with monkeypatch.context() as patch:
        patch.setattr(model_watcher, "load_bundle", deny)
        engine.look()
    assert version(engine) != new.name
    return new


def test_a_bundle_that_may_be_read_at_last_is_taken_up(engine: Engine, unreadable: Path) -> None:
    engine.look()
    assert engine.refused == 1, "nothing changed yet"
    (unreadable / "model.onnx").chmod(0o444)
    engine.look()
    assert version(engine) == unreadable.name


def test_a_bundle_that_could_not_be_read_is_tried_again_later(
    engine: Engine, unreadable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = time.monotonic() + model_watcher.RETRY_SECONDS
    monkeypatch.setattr(model_watcher, "monotonic", lambda: later)
    engine.look()
    assert version(engine) == unreadable.name
    assert engine.complaint is None


def test_the_same_bundle_taken_up_again_is_no_swap(models: Path, engine: Engine) -> None:
    before = engine.model
    os.utime(models / version(engine) / "model.onnx")
    engine.look()
    assert engine.model is not before
    assert engine.swaps == 0


def test_a_drive_that_fails_takes_no_model_away(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("input/output error")

    before = version(engine)
    with monkeypatch.context() as failing:
        failing.setattr(Path, "glob", fail)
        failing.setattr(model_watcher, "load_bundle", fail)
        engine.look()
    assert version(engine) == before
    assert engine.complaint == "input/output error"
    engine.look()
    assert version(engine) == before
    assert engine.complaint is None


def test_a_damaged_bundle_is_refused_once(
    models: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip_a_byte(publish_tiny(models) / "model.onnx")
    engine.look()
    monkeypatch.setattr(model_watcher, "monotonic", lambda: 1e12)
    engine.look()
    assert engine.refused == 1


def test_a_network_without_the_heatmap_it_promises_is_never_served(
    models: Path, engine: Engine
) -> None:
    good = version(engine)
    graph = onnx.load_from_string(tiny_network())
    del graph.graph.output[1]
    publish_tiny(models, network=graph.SerializeToString())
    engine.look()
    assert version(engine) == good
    assert "activation map" in (engine.complaint or "")


def test_whatever_loading_fails_with_another_model_is_served(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = (models / "current").read_text().strip()
    bad = publish_tiny(models, tiny_draft(threshold=0.3))

    def load(path: Path) -> ServedModel:
        if path == bad:
            raise RecursionError
        return load_bundle(path)

    monkeypatch.setattr(model_watcher, "load_bundle", load)
    engine = Engine(models, default=models / "default")
    engine.look()
    assert version(engine) == good
    assert engine.complaint == "RecursionError"
    assert engine.refused == 1, "what is refused is not tried a second time"


def test_at_start_the_last_good_bundle_stands_in_for_a_bad_one(models: Path) -> None:
    good = (models / "current").read_text().strip()
    flip_a_byte(publish_tiny(models, tiny_draft(threshold=0.3)) / "model.onnx")
    engine = Engine(models, default=models / "default")
    engine.look()
    assert version(engine) == good
    assert engine.complaint


@pytest.fixture
def default(models: Path, tmp_path: Path) -> Path:
    """The bundle that ships, away from the models folder."""
    folder = tmp_path / "default"
    shutil.copytree(models / (models / "current").read_text().strip(), folder)
    return folder


def test_in_an_empty_models_folder_nothing_is_amiss(
    default: Path, tmp_path: Path, log: io.StringIO
) -> None:
    """As a container finds it when it starts for the first time."""
    (tmp_path / "empty").mkdir()
    engine = Engine(tmp_path / "empty", default)
    engine.look()
    assert engine.complaint is None
    line = logged(log, event="model taken up", level="info")
    assert (line["model"], line["source"]) == (version(engine), str(default))


def test_a_missing_models_folder_is_complained_of_until_it_comes(
    default: Path, tmp_path: Path, log: io.StringIO
) -> None:
    later = tmp_path / "later"
    engine = Engine(later, default)
    for _ in range(3):
        engine.look()
    shipped = version(engine)
    assert (engine.complaint, engine.refused) == (NO_FOLDER, 0)
    assert logged(log, event="models folder asks for no bundle", level="warning")["folder"] == str(
        later
    )
    later.mkdir()
    engine.look()
    assert (engine.complaint, version(engine)) == (None, shipped)
    new = publish_tiny(later, tiny_draft(threshold=0.3))
    engine.look()
    assert (engine.complaint, version(engine)) == (None, new.name)


def test_a_models_folder_that_goes_away_takes_no_model_away(models: Path, engine: Engine) -> None:
    before = version(engine)
    away = models.rename(models.with_name("away"))
    engine.look()
    assert (engine.complaint, version(engine)) == (NO_FOLDER, before)
    away.rename(models)
    engine.look()
    assert (engine.complaint, version(engine)) == (None, before)


def test_the_probe_tells_of_a_missing_models_folder(start: Start, tmp_path: Path) -> None:
    ready = start(models=tmp_path / "Jane-Doe").get("/readyz")
    assert ready.json()["complaint"] == NO_FOLDER
    assert "Jane" not in ready.text


def test_a_service_without_a_model_is_not_ready_until_one_comes(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine.__init__, "__defaults__", (tmp_path / "none",))
    models = tmp_path / "models"
    client = start(ready=False, models=models)
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert client.post("/predict", content=NORMAL_LIKE).json()["type"].endswith("not-ready")
    publish_tiny(models)
    wait_until(lambda: client.get("/readyz").status_code == 200)


def test_the_network_before_a_swap_is_freed_and_its_memory_given_back(
    models: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine.model is not None
    old = weakref.ref(engine.model.network)
    freed: list[bool] = []
    monkeypatch.setattr(model_watcher, "return_free_memory", lambda: freed.append(old() is None))
    publish_tiny(models, tiny_draft(threshold=0.3))
    engine.look()
    assert engine.swaps == 1
    assert freed == [True]


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_ten_swaps_leave_memory_where_it_was(tmp_path: Path) -> None:
    """With the network that ships: it takes some 30 MB."""
    shipped = open_bundle(model_watcher.DEFAULT_BUNDLE)

    def write(folder: Path) -> Draft:
        shutil.copy(shipped.file("model.onnx"), folder)
        draft = shipped.manifest.model_dump(include=set(Draft.model_fields))
        return Draft.model_validate(draft)

    engine = Engine(tmp_path)
    resident = []
    for _ in range(12):
        new = publish(tmp_path, write)
        engine.look()
        assert version(engine) == new.name
        status = Path("/proc/self/status").read_text()
        resident.append(int(status.split("VmRSS:")[1].split()[0]) / 1000)
    assert engine.swaps == 11
    assert resident[-1] - resident[1] < 15, f"MB after each: {resident}"


def test_ten_swaps_in_a_row_fail_no_request(models: Path, start: Start) -> None:
    client = start(models=models)
    answered: list[tuple[int, str]] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            response = client.post("/predict", content=NORMAL_LIKE)
            said = response.json()
            answered.append((response.status_code, said.get("model", said).get("version", said)))

    callers = [threading.Thread(target=ask) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        for step in range(10):
            new = publish_tiny(models, tiny_draft(threshold=0.3 + step / 100)).name
            wait_until(lambda new=new: any(name == new for _, name in answered))  # type: ignore[misc]
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    assert {status for status, _ in answered} == {200}
    metrics = client.get("/metrics").text
    assert "xray_model_swaps_total 10.0" in metrics
    assert "xray_model_refusals_total 0.0" in metrics


def test_a_refused_bundle_is_logged_counted_and_told_of(
    models: Path, start: Start, log: io.StringIO
) -> None:
    client = start(models=models)
    bad = publish_tiny(models, tiny_draft(threshold=0.3))
    flip_a_byte(bad / "MODEL_CARD.md")
    wait_until(lambda: "xray_model_refusals_total 1.0" in client.get("/metrics").text)
    line = logged(log, event="model refused")
    assert line["level"] == "error"
    assert "MODEL_CARD.md" in line["reason"]
    assert "MODEL_CARD.md" in client.get("/readyz").json()["complaint"]
    assert client.post("/predict", content=NORMAL_LIKE).json()["model"]["version"] != bad.name
