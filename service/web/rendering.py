"""The page as text: in the reader's language from the first byte on, and with an answer in it."""

import base64
import io
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from service.problems import PROBLEMS, Problem
from service.screening.cautions import UNFAMILIAR
from service.screening.pipeline import Screening
from service.web.assets import WEB, Asset, asset, build, static_files
from service.web.languages import Language, isolated, languages
from shared.bundle.manifest import Manifest, Metric
from shared.labels import BACTERIAL

HTML: Final = "text/html; charset=utf-8"
REMEDIES: Final = {slug: kind.help for slug, kind in PROBLEMS.items() if kind.help} | {
    "offline": "offline",
    "other": "other",
}
"""Which help the page gives with which problem: the key after `help.` in the language files."""

_PICTURE_SIDE: Final = 720
_SHOWN: Final = {"sensitivity": "recall", "specificity": "specificity"}


class Figures(NamedTuple):
    """A model's figures that the page shows.

    Attributes:
        version: The model's version.
        measured_on: What they were measured on, as the manifest says it.
        shown: Each by its name on the page.
    """

    version: str
    measured_on: str
    shown: tuple[tuple[str, Metric], ...]


class About(NamedTuple):
    """What the page says of the service.

    Attributes:
        limit: Largest upload, in bytes.
        key_asked: Whether it asks for an access key.
        figures: Its model's; None where it has none, or no model yet.
    """

    limit: int
    key_asked: bool
    figures: Figures | None


@lru_cache(maxsize=64)
def blank_page(tag: str, about: About) -> Asset:
    """The page before any image in the language of a tag, ready to send."""
    return page(languages()[tag], about)


def page(
    language: Language,
    about: About,
    screening: Screening | None = None,
    problem: Problem | None = None,
) -> Asset:
    """The page, ready to send: with an answer, with a problem, or with neither."""
    megabytes = about.limit // (1024 * 1024)
    html = (
        _templates()
        .get_template("page.html")
        .render(
            screening=screening and _answer(language, screening),
            problem=problem,
            lang=language.tag,
            t=language.words,
            say=language.say,
            percent=language.percent,
            isolated=isolated,
            languages=[(tag, other.words["meta.name"]) for tag, other in languages().items()],
            static=f"static/{build()}",
            scripts=[name for name in static_files() if name.endswith(".js")],
            limit=megabytes,
            limit_text=language.say("choose.formats", size=language.number(str(megabytes))),
            key_asked=about.key_asked,
            settings={"bodyLimit": about.limit, "keyAsked": about.key_asked, "help": REMEDIES},
            figures=about.figures,
        )
    )
    return asset(html.encode(), HTML)


def figures(manifest: Manifest | None) -> Figures | None:
    """The figures of a model that the page shows; None where its manifest has none."""
    known = manifest.metrics if manifest else {}
    shown = tuple((name, known[metric]) for name, metric in _SHOWN.items() if metric in known)
    if manifest is None or not shown:
        return None
    return Figures(manifest.version, manifest.evaluated_on or "", shown)


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


def _answer(language: Language, screening: Screening) -> dict[str, Any]:
    """What the template shows of an answer."""
    share, threshold = screening.probability, screening.threshold
    label = outcome = screening.label.lower()
    if screening.needs_review:
        outcome = "uncertain" if screening.reliable else "unfamiliar"
    alike = round(share * 100) == round(threshold * 100) and share != threshold
    decimals = 1 if alike else 0
    return {
        "outcome": outcome,
        "label": label,
        "probability": share,
        "probability_text": language.probability(share, decimals),
        "threshold": threshold,
        "threshold_text": language.percent(threshold, decimals),
        # The heading says the one that is left out.
        "warnings": [warning for warning in screening.warnings if warning != UNFAMILIAR],
        "bacterial": None
        if outcome in ("normal", "unfamiliar")
        else _bacterial_share(screening.causes),
        "version": screening.model.manifest.version,
        "at": f"{datetime.now().astimezone():%Y-%m-%d %H:%M %z}",
        "picture": screening.overlay and _embedded(screening.overlay.data),
    }


def _bacterial_share(causes: dict[str, float] | None) -> float | None:
    """Of a pneumonia, how likely it is bacterial and not viral."""
    total = sum((causes or {}).values())
    return causes[BACTERIAL] / total if causes and total > 0 else None


def _embedded(png: bytes) -> str:
    """A picture small enough for a bad connection, as a data URL."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE))
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode()
