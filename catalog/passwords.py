"""URLs without the passwords in them, for everything that a person or a program may read.

A URL of a database may hold a password before its `@` and in its query. People write them with
characters that a URL does not allow there (`@`, `/`, `%`), so what is looked for is what may be one
rather than what is one by RFC 3986.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_plus

HIDDEN = "***"

_NAME = r"\w*(?:password|passwd|pwd|secret|token)"
_QUERY = re.compile(r"\?(?=\w+=)")
"""Where the query of a URL begins; a password may hold a mere question mark."""
_IN_QUERY = re.compile(rf"([?&]{_NAME}=)[^&\s]*", re.IGNORECASE)
_IN_USERINFO = re.compile(r"(:/+[^\s/@:?]*):[^\n]*@")
"""One slash is what a path makes of two."""
_IN_CONNECTION_STRING = re.compile(rf"(?:^|\s){_NAME}\s*=", re.IGNORECASE)
_SECRET = re.compile(_NAME, re.IGNORECASE)
_PORT = re.compile(r"\[[^\]]*\]|(?<=:)[^,]+")
"""An address of IPv6, or what is where a port would be."""
_HIGHEST_PORT = 65_535


class Address(NamedTuple):
    """The parts of a URL of a database, which are put together with and without a password."""

    scheme: str
    user: str
    password: str | None
    place: str
    """Host, port and name of the database, as they were written."""
    query: str
    """Without a password."""

    @property
    def url(self) -> str:
        """The whole URL, for the driver: the password escaped, and in one place."""
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        user = quote(self.user, safe="")
        userinfo = f"{user}{password}@" if user or password else ""
        return f"{self.scheme}://{userinfo}{self.place}{self.query}"

    @property
    def shown(self) -> str:
        """The URL without a password: it can be typed where the driver knows one by itself."""
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        pieces = [
            piece
            for piece in self.query.removeprefix("?").split("&")
            if piece and not _SECRET.fullmatch(piece.partition("=")[0])
        ]
        query = f"?{'&'.join(pieces)}" if pieces else ""
        return f"{self.scheme}://{user}{_only_ports(self.place)}{query}"


def _only_ports(place: str) -> str:
    """Return a place without what is no port: the password of a URL whose host was left out."""
    hosts, slash, name = place.partition("/")

    def port_or_none(match: re.Match[str]) -> str:
        text = match[0]
        is_port = text.isdecimal() and int(text) <= _HIGHEST_PORT
        return text if is_port or text.startswith("[") else HIDDEN

    return _PORT.sub(port_or_none, hosts) + slash + name


def address_of(scheme: str, rest: str) -> Address:
    """Split what follows `scheme://`: a password reaches to the last `@` before the query."""
    begin = _QUERY.search(rest, rest.find("@") + 1 if "@" in rest.partition("/")[0] else 0)
    body, query = (rest, "") if begin is None else (rest[: begin.start()], rest[begin.end() :])
    userinfo, _, place = body.rpartition("@")
    user, colon, text = userinfo.partition(":")
    password = unquote(text) if colon else None
    others = []
    for piece in filter(None, query.split("&")):
        key, _, value = piece.partition("=")
        if key == "password":
            password = unquote_plus(value)
        else:
            others.append(piece)
    return Address(scheme, unquote(user), password, place, f"?{'&'.join(others)}" if others else "")


def is_connection_string(text: str) -> bool:
    """Say whether a text is a connection string with a password (`host=... password=...`)."""
    return _IN_CONNECTION_STRING.search(text) is not None


def hide_passwords(text: str) -> str:
    """Return a text without what may be a password in any URL of it.

    Args:
        text: of an error, say; from the name of a URL's user to the last `@` of the line all is
            taken for one.
    """
    if ":/" not in text:
        return text
    return _IN_QUERY.sub(rf"\1{HIDDEN}", _IN_USERINFO.sub(r"\1@", text))
