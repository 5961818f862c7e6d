"""The page's sources, held to their own rules without a build step: what a linter would say."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from service.web.assets import WEB

SCRIPTS = sorted((WEB / "static" / "scripts").glob("*.js"))
STYLES = sorted((WEB / "static").glob("*.css"))
MARKUP = sorted(WEB.glob("*.html"))
LONGEST_LINE = 120
LONGEST_SCRIPT = 200

IMPORT = re.compile(r'import \{([^}]+)\} from "\./([\w-]+\.js)";')
EXPORT = re.compile(r"export (?:async )?(?:function|const|class) (\w+)")
UNSAFE = re.compile(
    r"\b(eval|innerHTML|insertAdjacentHTML|document\.write|localStorage|sessionStorage"
    r"|console\.\w+|debugger|var)\b|new Function"
)
PHYSICAL = re.compile(
    r"^\s*((margin|padding|border|inset)-(left|right|top|bottom)\b|(left|right|top|bottom)\s*:"
    r"|(min-|max-)?(width|height)\s*:|text-align\s*:\s*(left|right)|float\s*:)",
    re.MULTILINE,
)


def _ids(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


@pytest.mark.parametrize("path", SCRIPTS, ids=_ids(SCRIPTS))
class TestScript:
    """What every module keeps to."""

    def test_is_small_and_says_what_it_is_for(self, path: Path) -> None:
        text = path.read_text("utf-8")
        lines = text.splitlines()
        assert text.startswith("/**")
        assert len(lines) <= LONGEST_SCRIPT
        assert [line for line in lines if len(line) > LONGEST_LINE or line != line.rstrip()] == []

    def test_uses_nothing_unsafe_and_keeps_nothing(self, path: Path) -> None:
        assert UNSAFE.search(_code(path)) is None

    def test_imports_what_is_there_and_uses_it(self, path: Path) -> None:
        text = path.read_text("utf-8")
        for names, module in IMPORT.findall(text):
            exported = set(EXPORT.findall((path.parent / module).read_text("utf-8")))
            for name in (name.strip() for name in names.split(",")):
                assert name in exported, f"{module} has no {name}"
                assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is never used"

    def test_exports_only_what_another_module_uses(self, path: Path) -> None:
        others = "\n".join(other.read_text("utf-8") for other in SCRIPTS if other != path)
        exported = EXPORT.findall(path.read_text("utf-8"))
        assert [name for name in exported if not re.search(rf"\b{name}\b", others)] == []


def _code(path: Path) -> str:
    """A script without its comments."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text("utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("path", STYLES, ids=_ids(STYLES))
def test_styles_are_logical_so_that_they_mirror(path: Path) -> None:
    text = re.sub(r"/\*.*?\*/|@media[^{]+", "", path.read_text("utf-8"), flags=re.DOTALL)
    assert [found.group(0).strip() for found in PHYSICAL.finditer(text)] == []
    assert "@import" not in text
    assert "url(" not in text


class _Ids(HTMLParser):
    """Collects ids, and what refers to them."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in ("for", "aria-labelledby", "aria-describedby") and value:
                self.references += value.split()
            if name == "href" and value and value.startswith("#") and "{" not in value:
                self.references.append(value[1:])


def test_ids_are_unique_and_references_lead_somewhere() -> None:
    parser = _Ids()
    for path in [*MARKUP, WEB / "icons.svg"]:
        parser.feed(path.read_text("utf-8"))
    assert len(parser.ids) == len(set(parser.ids))
    assert set(parser.references) - set(parser.ids) == set()


def test_scripts_ask_for_ids_that_exist() -> None:
    parser = _Ids()
    parser.feed((WEB / "page.html").read_text("utf-8"))
    for path in SCRIPTS:
        asked = set(re.findall(r'byId\("([\w-]+)"\)', path.read_text("utf-8")))
        assert asked - set(parser.ids) == set(), path.name
