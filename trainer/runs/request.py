"""What a run is asked for, and the network that it comes to."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from trainer.config.options import Options
from trainer.config.recipe import Recipe

if TYPE_CHECKING:
    import keras

# Kept in full, so that a run can be gone on with from elsewhere.
FullPath = Annotated[Path, PlainSerializer(lambda path: str(path.resolve()))]


class Request(BaseModel):
    """What `fit` is asked for.

    Attributes:
        models: Where bundles are published.
        work: Where runs and decoded images are kept.
        data: The data set's folder or .zip.
        test: Whether to look at the test folder at the end.
        external: Further sets to measure on at the end, by name.
        not_chest: Folders of pictures that should be refused, by name.
        unlike: A folder of chest X-rays that the network must not judge, to learn from; or None.
        beside: A bundle, or a models folder, whose network is to answer beside the new ones; or
            None.
        recipe: How each member is trained.
        options: How the run cross-validates, decides and reports.
    """

    model_config = ConfigDict(frozen=True)

    models: Path = Field(exclude=True)
    work: Path = Field(exclude=True)
    data: FullPath
    test: bool = True
    external: dict[str, FullPath] = {}
    not_chest: dict[str, FullPath] = {}
    unlike: FullPath | None = None
    beside: FullPath | None = None
    recipe: Recipe
    options: Options

    def state(self) -> dict[str, Any]:
        """What `run.json` needs to go on with this run."""
        return self.model_dump(mode="json")


@dataclass(frozen=True)
class Fitted:
    """The network of a run.

    Attributes:
        model: The Keras network, with every head.
        h5: Its file.
        onnx: The served graph, checked equal.
        record: Histories, answers out of fold, refusal, familiarity and the export.
    """

    model: "keras.Model"
    h5: Path
    onnx: Path
    record: dict[str, Any]
