"""What people read of findings: one self-contained HTML report, and `MODEL_CARD.md`.

The card is after Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, with the metadata
header that model hubs read.
"""

import base64
import io
import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from PIL import Image

from shared.heatmap import laid_over
from shared.labels import LABELS
from trainer.bootstrap import Interval
from trainer.data.style import STATISTICS
from trainer.decision.recalibration import MINIMUM
from trainer.evaluation.changes import conclusion
from trainer.evaluation.metrics import ECE_BINS, FIGURES
from trainer.evaluation.results import HOSPITAL, Findings, SetResult
from trainer.report import plots
from trainer.report.summary import MANY, compare

THREE = ("normal", "bacterial", "viral")
Picture = dict[str, Any]


def render_report(findings: Findings) -> str:
    """The report as one HTML text without links to anything outside it."""
    shown, published = findings.results[0], findings.published
    return fill(
        "report.html.j2",
        created=datetime.now(UTC),
        f=findings,
        shown=shown,
        published=published,
        comparisons=compare(shown, published) if published else {},
        minimum=MINIMUM,
        many=MANY,
        hospital=HOSPITAL,
        conclusion=conclusion(findings.changes),
        labels=LABELS,
        figure_names=FIGURES,
        style_names=STATISTICS,
        bins=ECE_BINS,
        plots=plots,
        drawn={result.name: result.judged for result in findings.results},
        three=THREE,
        samples=_samples(shown, findings.samples) if findings.images else [],
        mistakes=_mistakes(shown, findings.samples) if findings.images else [],
        sanity=_sanity(shown, findings) if findings.images else [],
    )


def render_model_card(findings: Findings) -> str:
    """The card as Markdown with a YAML header; shows no image and names no file."""
    text = fill(
        "MODEL_CARD.md.j2",
        f=findings,
        first=findings.results[0],
        conclusion=conclusion(findings.changes),
        kaggle=findings.data.kaggle,
        today=datetime.now(UTC),
        figure_names=FIGURES,
    )
    return f"{text.strip()}\n"


def fill(template: str, **values: Any) -> str:
    """Put values into one of the templates."""
    templates = Environment(
        loader=PackageLoader("trainer", "templates"),
        autoescape=select_autoescape(("html.j2",), default_for_string=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "interval": _interval,
        "of_100": _of_100,
        "percent": lambda value: f"{100 * value:.1f} %",
        "thousands": lambda value: f"{value:,}",
        "yaml": json.dumps,  # JSON's strings and numbers are YAML's too
    }
    return templates.get_template(template).render(values)


def _interval(value: Interval | None) -> str:
    if value is None:
        return "–"
    to = "–" if value.low >= 0 else " to "  # not to be taken for a minus
    return f"{value.value:.3f} ({value.low:.3f}{to}{value.high:.3f})"


def _of_100(share: Interval) -> str:
    """A share as "93 (95 % interval 87 to 97)", never rounded to none or all."""
    value, low, high = (
        f"{100 * x:.1f}" if f"{100 * x:.0f}" in ("0", "100") and 0 < x < 1 else f"{100 * x:.0f}"
        for x in (share.value, share.low, share.high)
    )
    return f"{value} (95 % interval {low} to {high})"


def _samples(result: SetResult, count: int) -> list[Picture]:
    """Images drawn at random, as many of each class."""
    random = np.random.default_rng(0)
    chosen: list[int] = []
    for label in range(len(LABELS)):
        of_class = np.flatnonzero(result.split.labels == label)
        chosen += random.permutation(of_class)[:count].tolist()
    return [_picture(result, index) for index in chosen]


def _mistakes(result: SetResult, count: int) -> list[Picture]:
    """Wrong answers, the surest first: missed pneumonias, then false alarms."""
    wrong = result.judged.answers.pneumonia != (result.split.labels == 1)
    surest = np.argsort(-np.abs(result.judged.probability - result.judged.point.threshold))
    chosen: list[int] = []
    for label in (1, 0):
        chosen += [int(i) for i in surest if wrong[i] and result.split.labels[i] == label][:count]
    return [_picture(result, index) for index in chosen]


def _sanity(result: SetResult, findings: Findings) -> list[tuple[Picture, str]]:
    """Some heatmaps, each beside that of shuffled weights."""
    check = findings.heatmaps
    if check is None or check.shuffled is None:
        return []
    return [
        (
            _picture(result, index),
            _data_uri(laid_over(Image.fromarray(result.split.images[index]), shuffled)),
        )
        for index, shuffled in zip(check.images, check.shuffled, strict=True)
    ]


def _picture(result: SetResult, index: int) -> Picture:
    split, answers = result.split, result.judged.answers
    maps = result.outputs.activation_map
    image = Image.fromarray(split.images[index])
    cause = {0: "bacterial", 1: "viral"}.get(int(split.causes[index]), "")
    return {
        "image": _data_uri(image),
        "overlay": "" if maps is None else _data_uri(laid_over(image, maps[index, ..., 0])),
        "truth": f"{LABELS[int(split.labels[index])]}{f' ({cause})' if cause else ''}",
        "label": LABELS[int(answers.pneumonia[index])],
        "right": bool(answers.pneumonia[index]) == bool(split.labels[index]),
        "probability": float(answers.probability[index]),
        "review": bool(answers.uncertain[index]),
        "path": split.paths[index],
    }


def _data_uri(image: Image.Image) -> str:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
