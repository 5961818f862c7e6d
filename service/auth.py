"""API keys: none asked unless some are set; compared in constant time, and never kept in plain."""

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from service.problems import Problem
from service.settings import Settings
from shared.runtime.environment_settings import SettingsInvalid

HEADER: Final = "X-API-Key"
_HASHED: Final = "sha256:"


class Keys:
    """The keys that open the service, as SHA-256 digests."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        """Takes keys, each plain or as `sha256:<64 hexadecimal digits>`.

        Args:
            keys: By the place where the operator wrote each, for a message that may not show it.

        Raises:
            SettingsInvalid: A key is not of printable ASCII, or a hash has another length.
        """
        self._digests = [_digest(key, place) for place, key in keys.items()]

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Takes the keys of `XRAY_API_KEYS` and of the file that `XRAY_API_KEYS_FILE` names.

        Raises:
            SettingsInvalid: The file cannot be read or holds no key, or a key is malformed.
        """
        keys = {f"XRAY_API_KEYS, key {n}": key for n, key in enumerate(settings.api_keys, 1)}
        if settings.api_keys_file is not None:
            keys |= _read(settings.api_keys_file)
        return cls(keys)

    @property
    def required(self) -> bool:
        """Whether a caller needs a key at all."""
        return bool(self._digests)

    def check(self, offered: str | None) -> None:
        """Lets a caller in or not.

        Raises:
            Problem: `key-required`.
        """
        if not self.required:
            return
        digest = hashlib.sha256((offered or "").encode("utf-8", "surrogateescape")).digest()
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if not any(matches):
            received = (
                "none came with the request" if not offered else "the one received is not known"
            )
            raise Problem(
                "key-required",
                f"This service asks for an API key in the header {HEADER}; {received}. Ask "
                "whoever runs the service for a key.",
                {"WWW-Authenticate": f'ApiKey header="{HEADER}"'},
            )


def _digest(key: str, place: str) -> bytes:
    if not (key.isascii() and key.isprintable()):
        raise SettingsInvalid(
            f"{place}: the key has a character outside printable ASCII, which the header "
            f"{HEADER} does not carry from every program; choose letters, digits and signs of ASCII"
        )
    if not key.startswith(_HASHED):
        return hashlib.sha256(key.encode()).digest()
    try:
        digest = bytes.fromhex(key.removeprefix(_HASHED))
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise SettingsInvalid(
            f"{place}: a key that begins with {_HASHED} needs 64 hexadecimal digits after it"
        )
    return digest


def _read(path: Path) -> dict[str, str]:
    try:
        # Editors of Windows begin a file with the mark that this encoding leaves out.
        lines = map(str.strip, path.read_text(encoding="utf-8-sig").splitlines())
    except OSError as error:
        raise SettingsInvalid(f"XRAY_API_KEYS_FILE: cannot read {path}: {error}") from error
    except UnicodeDecodeError as error:
        raise SettingsInvalid(
            f"XRAY_API_KEYS_FILE: {path} is not in UTF-8; save it in that encoding"
        ) from error
    keys = {
        f"XRAY_API_KEYS_FILE, line {n} of {path}": line
        for n, line in enumerate(lines, 1)
        if line and not line.startswith("#")
    }
    if not keys:
        raise SettingsInvalid(f"XRAY_API_KEYS_FILE: {path} holds no key; write one a line")
    return keys
