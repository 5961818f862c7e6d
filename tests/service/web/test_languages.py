"""The page's language files: complete, filled, used, and in step with what the service can say."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.problems import PROBLEMS
from service.web.assets import WEB
from service.web.languages import FALLBACK, Language, choose, languages
from service.web.rendering import REMEDIES
from shared.imaging.dicom.headers import Flag

ENGLISH = languages()[FALLBACK].words
SOURCES = [*WEB.glob("*.html"), *WEB.glob("*.py"), *(WEB / "static").rglob("*.js")]
FIELD = re.compile(r"\{(\w+)\}")
PROBLEM_SLUGS = set(PROBLEMS) | {"offline", "other"}
OUTCOMES = {"normal", "pneumonia", "uncertain", "unfamiliar"}

BUILT = {
    "problem": PROBLEM_SLUGS,
    "help": set(REMEDIES.values()),
    "answer": OUTCOMES | {"leans_normal", "leans_pneumonia"},
    "next": OUTCOMES,
    "work": {"waiting", "shrinking", "reading", "busy", "offline"},
    "causes": {"bacterial", "viral"},
    "about": {
        "sensitivity",
        "sensitivity_means",
        "specificity",
        "specificity_means",
    },
    "warning": {"unfamiliar_image", "uncalibrated_model", "other", "unknown_familiarity", *Flag},
    "meta": {"name", "dir", "digits", "percent"},
}
"""Keys that the page puts together while it runs, by the part before their dot."""


def _used() -> Iterator[str]:
    """Every key that the page's sources name, or put together."""
    known = set(ENGLISH)
    for source in SOURCES:
        words = set(re.findall(r"[a-z]+\.[a-z][a-z0-9_-]*", source.read_text("utf-8")))
        yield from known & words
    for group, names in BUILT.items():
        yield from (f"{group}.{name}" for name in names)


def test_there_are_twelve_languages() -> None:
    wanted = {"en", "es", "fr", "pt", "hi", "bn", "ur", "ar", "sw", "ha", "id", "zh-Hans"}
    assert wanted <= set(languages())


@pytest.mark.parametrize("language", languages().values(), ids=languages())
class TestLanguage:
    """What every language file must hold."""

    def test_has_every_key_and_no_other(self, language: Language) -> None:
        assert set(language.words) == set(ENGLISH)

    def test_has_no_empty_sentence(self, language: Language) -> None:
        assert [key for key, words in language.words.items() if not words.strip()] == []

    def test_keeps_the_fields_of_each_sentence(self, language: Language) -> None:
        for key, words in language.words.items():
            assert set(FIELD.findall(words)) == set(FIELD.findall(ENGLISH[key])), key

    def test_is_translated(self, language: Language) -> None:
        if language.tag == FALLBACK:
            return
        sentences = [key for key, words in ENGLISH.items() if len(words.split()) > 3]
        left = [key for key in sentences if language.words[key] == ENGLISH[key]]
        assert left == []

    def test_tells_direction_and_digits(self, language: Language) -> None:
        assert language.words["meta.dir"] in ("ltr", "rtl")
        assert len(set(language.words["meta.digits"])) == 11

    def test_has_words_for_every_problem(self, language: Language) -> None:
        assert {f"problem.{slug}" for slug in PROBLEM_SLUGS} <= set(language.words)

    def test_holds_no_markup(self, language: Language) -> None:
        assert [key for key, words in language.words.items() if re.search(r"[<>&]", words)] == []


def test_every_key_is_used() -> None:
    assert set(ENGLISH) - set(_used()) == set()


def test_every_key_that_is_used_exists() -> None:
    assert set(_used()) - set(ENGLISH) == set()


def test_adding_a_language_is_adding_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "locales").mkdir()
    for tag in ("en", "sw"):
        text = (WEB / "locales" / f"{tag}.json").read_text("utf-8")
        (tmp_path / "locales" / f"{tag}.json").write_text(text, "utf-8")
    monkeypatch.setattr("service.web.languages.WEB", tmp_path)
    assert set(languages.__wrapped__()) == {"en", "sw"}


@pytest.mark.parametrize(
    ("asked", "remembered", "accepted", "chosen"),
    [
        (None, None, None, "en"),
        (None, None, "de, fr;q=0.8, en;q=0.5", "fr"),
        (None, None, "en;q=0.2, hi-IN", "hi"),
        (None, None, "zh-CN,zh;q=0.9", "zh-Hans"),
        (None, None, "es;q=0, pt-BR", "pt"),
        (None, None, "ar;q=broken, ;;, *;q=0.1", "en"),
        (None, "ur", "fr", "ur"),
        ("sw", "ur", "fr", "sw"),
        ("xx", "../../etc", "bn", "bn"),
    ],
)
def test_choice(
    asked: str | None, remembered: str | None, accepted: str | None, chosen: str
) -> None:
    assert choose(asked, remembered, accepted).tag == chosen


def test_numbers() -> None:
    bengali, french, english = (languages()[tag] for tag in ("bn", "fr", "en"))
    assert bengali.percent(0.405, 1) == "৪০.৫%"
    assert french.percent(0.405, 1) == "40,5\u00a0%"
    assert english.probability(0.934) == "93%"
    assert english.probability(0.9999) == "over 99%"
    assert english.probability(0.0001) == "under 1%"
