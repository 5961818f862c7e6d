"""The page as text: in the reader's language from the first byte on, and with an answer in it."""

import base64
import io
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from service.problems import PROBLEMS, Problem
from service.screening.cautions import UNFAMILIAR
from service.screening.pipeline import Screening
from service.web.assets import WEB, Asset, asset, build, static_files
from service.web.languages import Language, isolated, languages
from shared.bundle.manifest import Manifest
from shared.labels import BACTERIAL

HTML: Final = "text/html; charset=utf-8"
REMEDIES: Final = {slug: kind.help for slug, kind in PROBLEMS.items() if kind.help} | {
    "offline": "offline",
    "other": "other",
}
"""Which help the page gives with which problem: the key after `help.` in the language files."""

_PICTURE_SIDE: Final = 720
_SHOWN: Final = {"sensitivity": "recall", "specificity": "specificity"}


@dataclass(frozen=True)
class Figures:
    """A model's figures that the page shows.

    Attributes:
        version: The model's version.
        measured_on: What they were measured on, as the manifest says it.
        shown: Name, value and 95 % interval of each, as shares in [0, 1].
    """

    version: str
    measured_on: str
    shown: tuple[tuple[str, float, float, float], ...]


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
        problem=problem and _complaint(language, problem),
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
            languages=[(tag, other.words["meta.name"]) for tag, other in languages().items()],
            static=f"static/{build()}",
            scripts=[name for name in static_files() if name.endswith(".js")],
            limit=limit // (1024 * 1024),
            limit_text=language.say("choose.formats", size=megabytes),
            key_asked=key_asked,
            settings={"bodyLimit": limit, "keyAsked": key_asked, "help": REMEDIES},
            version=figures and language.say("about.version", version=isolated(figures.version)),
            measured_on=figures.measured_on if figures else "",
            figures=[_figure(language, *figure) for figure in figures.shown] if figures else [],
        )
    )


def _figures(manifest: Manifest | None) -> Figures | None:
    if manifest is None:
        return None
    known = [(name, manifest.metrics.get(metric)) for name, metric in _SHOWN.items()]
    shown = tuple((name, m.value, m.low, m.high) for name, m in known if m)
    return Figures(manifest.version, manifest.evaluated_on or "", shown) if shown else None


def _figure(language: Language, name: str, value: float, low: float, high: float) -> dict[str, str]:
    return {
        "name": language.say(f"about.{name}"),
        "value": language.percent(value, 1),
        "means": language.say(f"about.{name}_means"),
        "interval": language.say(
            "about.interval", low=language.percent(low, 1), high=language.percent(high, 1)
        ),
    }


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


def _complaint(language: Language, problem: Problem) -> dict[str, str]:
    slug = problem.kind.slug
    return {
        "title": language.say(f"problem.{slug}"),
        "help": language.say(f"help.{REMEDIES.get(slug, 'other')}"),
        "detail": problem.detail,
    }


def _answer(language: Language, screening: Screening) -> dict[str, Any]:
    """What the template shows of an answer: sentences, and the widths of its bar."""
    share, threshold = screening.probability, screening.threshold
    leaning = screening.label.lower()
    outcome = leaning
    if screening.needs_review:
        outcome = "uncertain" if screening.reliable else "unfamiliar"
    alike = round(share * 100) == round(threshold * 100) and share != threshold
    decimals = 1 if alike else 0
    version = screening.model.manifest.version
    return {
        "outcome": outcome,
        "leans": leaning if outcome == "uncertain" else None,
        "would_say": language.say(
            "answer.would_say",
            label=language.words[f"answer.{leaning}"],
            percent=language.probability(share, decimals),
        ),
        "probability_text": language.probability(share, decimals),
        "probability_width": f"{share * 100:.1f}%",
        "threshold_x": f"{threshold * 100:.1f}%",
        "threshold_text": language.say(
            "answer.threshold", percent=language.percent(threshold, decimals)
        ),
        "warnings": [
            _warning(language, code, message)
            for code, message in screening.warnings
            if code != UNFAMILIAR[0]  # the heading says it
        ],
        "causes": []
        if outcome in ("normal", "unfamiliar")
        else _causes(language, screening.causes),
        "provenance": f"{language.say('about.version', version=isolated(version))} · "
        f"{datetime.now().astimezone():%Y-%m-%d %H:%M %z}",
        "picture": screening.overlay and _embedded(screening.overlay.data),
    }


def _warning(language: Language, code: str, message: str) -> str:
    if f"warning.{code}" in language.words:
        return language.say(f"warning.{code}")
    return f"{language.say('warning.other')} {message}"


def _causes(language: Language, causes: dict[str, float] | None) -> list[tuple[str, str]]:
    """Bacterial against viral, given that it is pneumonia, as percentages."""
    total = sum((causes or {}).values())
    if not causes or total <= 0:
        return []
    bacterial = causes[BACTERIAL] / total
    return [
        (language.say("causes.bacterial"), language.percent(bacterial)),
        (language.say("causes.viral"), language.percent(1 - bacterial)),
    ]


def _embedded(png: bytes) -> str:
    """A picture small enough for a bad connection, as a data URL."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE))
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode()
