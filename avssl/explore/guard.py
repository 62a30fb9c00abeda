"""Access control: only this machine, or whoever has the token; never another site through the browser."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Of each token its own: browsers send the cookies of one port to another, where another run may be explored.
_COOKIE = "avssl-{}"

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' data: blob:; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
}


@dataclass(frozen=True)
class Guard:
    """Who may ask.

    Attributes:
        token: needed by every visitor; None where only this machine can reach the page.
        names: of hosts that a request may be addressed to; empty where a token guards. Another site whose name is made
            to point here would else be answered (DNS rebinding).
    """

    token: str | None = field(default=None, repr=False)
    names: tuple[str, ...] = LOOPBACK

    @staticmethod
    def of(host: str, token: str | None = None) -> Guard:
        """Of a server that listens at ``host``; where others reach it, a token is made if none is given."""
        if host in LOOPBACK:
            return Guard(token)
        return Guard(token or secrets.token_urlsafe(24), ())

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """The app behind this guard."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return

            async def send_with_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = MutableHeaders(scope=message)
                    for name, value in _HEADERS.items():
                        headers.setdefault(name, value)
                await send(message)

            answer = self._refusal(scope) or app
            await answer(scope, receive, send_with_headers)

        return guarded

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.names and _name_of(host) not in self.names:
            return PlainTextResponse("this page is for this machine alone", 403)
        # Browsers say so where the page of another site asks; following a link from there is fine.
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return PlainTextResponse("this page is not for other sites", 403)
        # A page of another site can send a request from here, but cannot add a header of ours.
        if scope["method"] not in ("GET", "HEAD") and headers.get("x-avssl") is None:
            return PlainTextResponse("the header X-Avssl is missing", 403)
        return None if self.token is None else self._token_refusal(scope, headers, self.token)

    def _token_refusal(self, scope: Scope, headers: Headers, token: str) -> ASGIApp | None:
        # What the cookie holds is made of the token, which may have letters that no header can have.
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        name = _COOKIE.format(digest[:8])
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if given and _same(given, token):
            # With two slashes it would lead to another site.
            answer = RedirectResponse("/" + scope["path"].lstrip("/\\"), 303)
            answer.set_cookie(name, digest[8:], httponly=True, samesite="strict")
            return answer
        if _same(_cookie(headers.get("cookie", ""), name), digest[8:]):
            return None
        return PlainTextResponse("open the address that avssl explore printed: it holds the token", 401)


def _name_of(host: str) -> str:
    """Of a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _cookie(header: str, name: str) -> str:
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


def _same(given: str, token: str) -> bool:
    one, other = (text.encode("utf-8", "surrogateescape") for text in (given, token))
    return hmac.compare_digest(one, other)
