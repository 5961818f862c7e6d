"""The DICOM nodes that the gateway knows: who may send to it, and the archive that it sends to."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Self

ANY: Final = "*"

# PS3.5, section 6.2, AE: at most 16 characters of the default repertoire, without backslash.
_TITLE: Final = re.compile(r"[ !-\[\]-~]{1,16}")


def valid_title(title: str) -> str:
    """An application entity's title, without the spaces around it.

    Raises:
        ValueError: It is empty, too long, or has other characters than the standard allows.
    """
    stripped = title.strip()
    if not stripped or not _TITLE.fullmatch(stripped):
        raise ValueError(
            f"{title[:40]!r} is no AE title: 1 to 16 ASCII characters, without backslash"
        )
    return stripped


@dataclass(frozen=True)
class Caller:
    """Who may connect.

    Attributes:
        title: The calling AE title, or `*` for any.
        network: The addresses that it may call from.
    """

    title: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `TITLE@address` or `TITLE@network/bits`; `*` is any title.

        Raises:
            ValueError: It is written otherwise; the message says how to.
        """
        title, at, address = text.rpartition("@")
        if not at:
            raise ValueError(f"{text[:80]!r} is not TITLE@address, such as PACS@10.1.2.3")
        try:
            network = ipaddress.ip_network(address.strip(), strict=False)
        except ValueError:
            raise ValueError(
                f"{address[:80]!r} is no IP address or network, such as 10.1.2.3 or 10.1.0.0/16"
            ) from None
        return cls(ANY if title.strip() == ANY else valid_title(title), network)

    def is_at(self, address: str) -> bool:
        """Whether a connection from this IP address may be this caller's."""
        came_from = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(came_from, "ipv4_mapped", None)
        return (mapped or came_from) in self.network

    def is_named(self, title: str) -> bool:
        """Whether this is the caller's AE title."""
        return self.title in {ANY, title.strip()}


@dataclass(frozen=True)
class Archive:
    """Where the results go.

    Attributes:
        title: Its AE title.
        host: Its name or address.
        port: Its DICOM port.
    """

    title: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `TITLE@host:port`.

        Raises:
            ValueError: It is written otherwise; the message says how to.
        """
        title, _, address = text.rpartition("@")
        host, colon, port = address.strip().rpartition(":")
        if not title or not host or not colon or not port.isascii() or not port.isdigit():
            raise ValueError(f"{text[:80]!r} is not TITLE@host:port, such as PACS@10.1.2.3:104")
        if not 0 < int(port) < 65536:
            raise ValueError(f"{port} is no port: 1 to 65535")
        return cls(valid_title(title), host.strip("[]"), int(port))
