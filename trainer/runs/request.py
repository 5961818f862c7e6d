"""What a run is asked for, and the network that it comes to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.config.options import Options
from trainer.config.recipe import Recipe

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Request:
    """What `fit` is asked for.

    Attributes:
        data: The data set's folder or .zip.
        models: Where bundles are published.
        work: Where runs and decoded images are kept.
        recipe: How each member is trained.
        options: How the run cross-validates, decides and reports.
        test: Whether to look at the test folder at the end.
        external: Further sets to measure on at the end, by name.
        not_chest: Folders of pictures that should be refused, by name.
        unlike: A folder of chest X-rays that the network must not judge, to learn from; or None.
    """

    data: Path
    models: Path
    work: Path
    recipe: Recipe
    options: Options
    test: bool = True
    external: dict[str, Path] = field(default_factory=dict)
    not_chest: dict[str, Path] = field(default_factory=dict)
    unlike: Path | None = None

    def state(self) -> dict[str, Any]:
        """What `run.json` needs to go on with this run."""
        return {
            "data": str(self.data.resolve()),
            "test": self.test,
            "external": {name: str(path.resolve()) for name, path in self.external.items()},
            "not_chest": {name: str(path.resolve()) for name, path in self.not_chest.items()},
            "unlike": str(self.unlike.resolve()) if self.unlike else None,
            "recipe": self.recipe.to_json(),
            "options": self.options.to_json(),
        }


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
