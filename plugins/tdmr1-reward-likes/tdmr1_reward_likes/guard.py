"""Who gets through to the pages: by the token, the host's name, the origin and the pace.

Every answer, also a refusal, carries headers that forbid a browser all that the pages do not need.
"""

from __future__ import annotations

import hmac
import math
import re
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tdmr1_reward_likes.errors import TokenInvalid
from tdmr1_reward_likes.limits import Limits
from tdmr1_reward_likes.pages import page, problem

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; script-src 'self'; "
    "style-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not no-referrer: then a browser would not name the origin of a form, either.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
OPEN = "/static/"
"""Begins the paths that need no token: what the page of a refusal looks like."""
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
"""Names by which a browser of this machine asks. Behind another name stands a page of elsewhere
whose author has pointed that name to this machine."""
REMEMBERED = 30 * 86_400
"""Seconds that a cookie lives."""
GUESSES = 2.0
"""Wrong tokens a second that an address may show."""


def check_token(token: str) -> str:
    """The same token.

    Raises:
        TokenInvalid: it does not fit into a link, or can be guessed.
    """
    if not re.fullmatch(r"[A-Za-z0-9_~.-]{16,200}", token):
        raise TokenInvalid(
            "a token has 16 letters, digits or signs of - _ . ~ at least, and nothing else; e.g. "
            "TDMR1_TOKEN=$(openssl rand -hex 16)"
        )
    return token


class Guard:
    """Asks who it is before anything of a request is looked at.

    Args:
        app: what is guarded.
        token: that has to be shown, in the link and then in a cookie; None where only this machine
            gets through.
        port: that is listened on; servers of one machine share their cookies.
        limits: of the requests.
    """

    def __init__(self, app: ASGIApp, token: str | None, port: int, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self.token, self.cookie = token, f"tdmr1_likes_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        request = Request(scope)
        answer = self._answer(request) or self.app
        return await answer(scope, receive, send_guarded)

    def _answer(self, request: Request) -> Response | None:
        """What is answered in place of the app; None where it is the app's to answer."""
        address = request.client.host if request.client else ""
        if seconds := self.limits.wait(address):
            return _busy(request, seconds)
        # Of the request itself: `request.url` is put together with what the Host header says.
        if request.scope["path"].startswith(OPEN):
            return None
        if self.token is None:
            name = _name(request.headers.get("host", ""))
            if name not in LOOPBACK:
                return problem(
                    request,
                    421,
                    "Not this address",
                    "This page is for this machine alone; open it as http://127.0.0.1.",
                    back=False,
                )
        else:
            shown = request.query_params.get("token", request.cookies.get(self.cookie, ""))
            if not hmac.compare_digest(shown.encode(), self.token.encode()):
                if shown and (seconds := self.limits.wait(address, self.limits.rate / GUESSES)):
                    return _busy(request, seconds)
                return problem(
                    request,
                    401,
                    "The link is needed",
                    "This link is not complete, or no longer valid. Ask whoever runs the session "
                    "for the link, and open all of it.",
                    back=False,
                )
            if request.method == "GET" and "token" in request.query_params:
                return self._come_in(request)
        if request.method not in ("GET", "HEAD") and not _is_of_here(request):
            return problem(
                request,
                403,
                "Not from there",
                "Another page has asked for this in your name. It was not done.",
            )
        return None

    def _come_in(self, request: Request) -> Response:
        """A page that goes on by itself, with the token in a cookie and no longer in the link.

        Not a redirect: the browser counts one as the step of the page with the link, e.g. of a
        web mail, and would not show a cookie that is SameSite=Strict.
        """
        response = page("link.html")
        remember(response, request, self.cookie, str(self.token))
        return response


def remember(response: Response, request: Request, cookie: str, value: str) -> None:
    """Set a cookie that no script reads, and that goes with requests of our own pages alone."""
    response.set_cookie(
        cookie,
        value,
        max_age=REMEMBERED,
        httponly=True,
        samesite="strict",
        secure=request.scope["scheme"] == "https",
    )


def _is_of_here(request: Request) -> bool:
    """Whether a page of ours asks, or no page at all: a browser says which one does."""
    origin = request.headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == request.headers.get("host", "")
    except ValueError:
        return False


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _busy(request: Request, seconds: float) -> Response:
    response = problem(
        request, 429, "Too fast", "Too many requests from your address; wait a moment."
    )
    response.headers["Retry-After"] = str(math.ceil(seconds))
    return response
