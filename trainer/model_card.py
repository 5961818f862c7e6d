"""MODEL_CARD.md: what the network is for, how good it is, and where it fails.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, with the metadata header that
model hubs read.
"""

import json
from datetime import UTC, datetime

from trainer.evaluation import FIGURES
from trainer.findings import Findings
from trainer.patients import is_kaggle_name
from trainer.report import environment


def render_model_card(findings: Findings) -> str:
    """The card as Markdown with a YAML header; shows no image and names no file."""
    first = findings.results[0]
    kaggle = findings.audit is not None and _looks_like_kaggle(findings)
    environment_ = environment()
    environment_.filters["yaml"] = json.dumps  # JSON's strings and numbers are YAML's too
    return (
        environment_.get_template("MODEL_CARD.md.j2")
        .render(
            f=findings, first=first, kaggle=kaggle, today=datetime.now(UTC), figure_names=FIGURES
        )
        .strip()
        + "\n"
    )


def _looks_like_kaggle(findings: Findings) -> bool:
    """Whether nearly all file names are of the pattern of the Kaggle data set."""
    paths = findings.results[0].split.paths
    return sum(map(is_kaggle_name, paths)) > 0.9 * len(paths)
