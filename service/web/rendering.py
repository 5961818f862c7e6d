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


def blank_page(tag: str, limit: int, key_asked: bool, manifest: Manifest | None) -> Asset:
    """The page before any image, ready to send.

    Args:
        tag: The language.
        limit: Largest upload, in bytes.
        key_asked: Whether the service asks for an access key.
        manifest: The model's, if one is loaded: its figures are shown.
    """
    return _blank_page(tag, limit, key_asked, _figures(manifest))


@lru_cache(maxsize=64)
def _blank_page(tag: str, limit: int, key_asked: bool, figures: Figures | None) -> Asset:
    return asset(_render(languages()[tag], limit, key_asked, figures).encode(), HTML)


def page(
    language: Language,
    limit: int,
    key_asked: bool,
    manifest: Manifest | None,
    screening: Screening | None = None,
    problem: Problem | None = None,
) -> Asset:
    """The page with an answer, or with a problem, ready to send.

    Args:
        screening: An answer to show.
        problem: A problem to show instead.
    """
    html = _render(
        language,
        limit,
        key_asked,
        _figures(manifest),
        screening=screening and _answer(language, screening),
        problem=problem,
    )
    return asset(html.encode(), HTML)


def _render(
    language: Language, limit: int, key_asked: bool, figures: Figures | None, **outcome: Any
) -> str:
    megabytes = language.number(str(limit // (1024 * 1024)))
    return (
        _templates()
        .get_template("page.html")
        .render(
            {"screening": None, "problem": None} | outcome,
            lang=language.tag,
            t=language.words,
            say=language.say,
            percent=language.percent,
            isolated=isolated,
            languages=[(tag, other.words["meta.name"]) for tag, other in languages().items()],
            static=f"static/{build()}",
            scripts=[name for name in static_files() if name.endswith(".js")],
            limit=limit // (1024 * 1024),
            limit_text=language.say("choose.formats", size=megabytes),
            key_asked=key_asked,
            settings={"bodyLimit": limit, "keyAsked": key_asked, "help": REMEDIES},
            figures=figures,
        )
    )


def _figures(manifest: Manifest | None) -> Figures | None:
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
