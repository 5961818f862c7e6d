"""MODEL_CARD.md: what the network is for, how good it is, and where it fails.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, with the metadata header that
model hubs read.
"""

import json
from datetime import UTC, datetime

from trainer.evaluation.changes import conclusion
from trainer.evaluation.metrics import FIGURES
from trainer.evaluation.results import Findings
from trainer.report.html import environment


def render_model_card(findings: Findings) -> str:
    """The card as Markdown with a YAML header; shows no image and names no file."""
    first = findings.results[0]
    environment_ = environment()
    environment_.filters["yaml"] = json.dumps  # JSON's strings and numbers are YAML's too
    return (
        environment_.get_template("MODEL_CARD.md.j2")
        .render(
            f=findings,
            first=first,
            conclusion=conclusion(findings.changes),
            kaggle=findings.data.kaggle,
            today=datetime.now(UTC),
            figure_names=FIGURES,
        )
        .strip()
        + "\n"
    )
