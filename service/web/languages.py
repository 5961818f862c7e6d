"""The page's languages: one file each in `locales/`, and the choice among them.

A file is flat JSON, key to sentence; `meta.name` is the language's own name, `meta.dir` its
direction, `meta.digits` its ten digits and decimal sign, `meta.percent` its way to write a
percentage. The browser uses `Intl`; the last two serve the page that is rendered here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from service.web.assets import WEB

FALLBACK: Final = "en"


@dataclass(frozen=True)
class Language:
    """One language of the page.

    Attributes:
        tag: Its BCP 47 tag, the name of its file.
        words: Its sentences by key.
    """

    tag: str
    words: Mapping[str, str]

    def say(self, key: str, **values: str) -> str:
        """The sentence for a key, with `{name}` replaced from the values."""
        sentence = self.words[key]
        for name, value in values.items():
            sentence = sentence.replace(f"{{{name}}}", value)
        return sentence

    def number(self, text: str) -> str:
        """A decimal number such as `40.5` in the language's digits and with its decimal sign."""
        digits = str.maketrans("0123456789.", self.words["meta.digits"])
        return text.translate(digits)

    def percent(self, share: float, decimals: int = 0) -> str:
        """A share in [0, 1] as a percentage."""
        return self.say("meta.percent", n=self.number(f"{share * 100:.{decimals}f}"))

    def probability(self, share: float, decimals: int = 0) -> str:
        """A probability as a percentage that never claims certainty: over 99 %, under 1 %."""
        if share > 0.99:
            return self.say("answer.over", percent=self.percent(0.99))
        if share < 0.01:
            return self.say("answer.under", percent=self.percent(0.01))
        return self.percent(share, decimals)


def isolated(text: str) -> str:
    """Something that keeps its own direction inside a sentence, such as a version (UAX #9)."""
    return f"\u2066{text}\u2069"


@cache
def languages() -> Mapping[str, Language]:
    """All languages by tag, in the order of their own names."""
    files = (WEB / "locales").glob("*.json")
    found = [Language(file.stem, json.loads(file.read_text("utf-8"))) for file in files]
    return {
        language.tag: language
        for language in sorted(found, key=lambda language: language.words["meta.name"].casefold())
    }


def choose(asked: str | None, remembered: str | None, accepted: str | None) -> Language:
    """The language for a reader.

    Args:
        asked: The tag in the address, if any.
        remembered: The tag in the cookie, if any.
        accepted: The `Accept-Language` header (RFC 9110, section 12.5.4), if any.

    Returns:
        The first of these that the page speaks, else English.
    """
    known = languages()
    for tag in (asked, remembered):
        if tag is not None and tag in known:
            return known[tag]
    for wanted in _preferences(accepted or ""):
        for tag, language in known.items():
            if tag.lower() == wanted or tag.partition("-")[0].lower() == wanted.partition("-")[0]:
                return language
    return known[FALLBACK]


def _preferences(header: str) -> list[str]:
    """The tags of an `Accept-Language` header, most wanted first, without what cannot be read."""
    weighted = []
    for part in header[:1000].split(","):
        tag, _, quality = part.strip().partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=")) if quality else 1.0
        except ValueError:
            continue
        if tag and weight > 0:
            weighted.append((weight, tag.strip().lower()))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]
