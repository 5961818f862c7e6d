"""The page's files, as they travel: read once, compressed once, named by their content.

All addresses carry the hash of all files (`static/<build>/scripts/main.js`), so that a browser may
keep them for good and still never mixes two versions: modules import each other by relative names
and stay within one build.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

WEB: Final = Path(__file__).resolve().parent

_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """Something to send.

    Attributes:
        body: Its bytes.
        compressed: The same, as gzip (RFC 1952).
        media_type: Its `Content-Type`.
        etag: A strong validator (RFC 9110, section 8.8.3), quotes included.
        compressed_etag: That of `compressed`, which are other bytes (section 8.8.3.3).
    """

    body: bytes
    compressed: bytes
    media_type: str
    etag: str
    compressed_etag: str


def asset(body: bytes, media_type: str) -> Asset:
    """Compresses and names what is to be sent."""
    digest = hashlib.sha256(body).hexdigest()[:32]
    compressed = gzip.compress(body, 9, mtime=0)
    return Asset(body, compressed, media_type, f'"{digest}"', f'"{digest}-gzip"')


@cache
def static_files() -> Mapping[str, Asset]:
    """Every file of the page by its path below the build; nothing else can be asked for."""
    paths = {path.relative_to(WEB / "static"): path for path in (WEB / "static").rglob("*")}
    paths |= {path.relative_to(WEB): path for path in (WEB / "locales").glob("*.json")}
    return {
        name.as_posix(): asset(path.read_bytes(), _MEDIA_TYPES[path.suffix])
        for name, path in sorted(paths.items())
        if path.suffix in _MEDIA_TYPES
    }


@cache
def build() -> str:
    """The hash of all files of the page."""
    etags = "".join(file.etag for file in static_files().values())
    return hashlib.sha256(etags.encode()).hexdigest()[:12]
