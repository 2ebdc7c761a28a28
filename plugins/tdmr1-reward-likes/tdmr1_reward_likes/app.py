"""The pages and what their scripts ask for, as an ASGI application."""

from __future__ import annotations

import logging
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote

import pydantic
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tdmr1_reward_likes.errors import (
    ImageGone,
    NameInvalid,
    QueueFailed,
    QueueInvalid,
    VoterUnknown,
)
from tdmr1_reward_likes.guard import HEADERS, Guard, remember
from tdmr1_reward_likes.limits import Limits
from tdmr1_reward_likes.names import voter_name
from tdmr1_reward_likes.pages import FOLDER, page, problem
from tdmr1_reward_likes.session import agreement_in_words, look
from tdmr1_reward_likes.voting import Lent, Voting

RATE = 100.0
"""Requests a second from one address; a vote takes three, and an office shares its address."""
MAX_BODY = 64 * 2**10
"""Bytes of a request."""
MOST = 500
"""Pictures of one request."""
SHOWN = "x-voter"
"""Header of a script: the voter whom its page shows. All pages of a browser share the cookie."""

_log = logging.getLogger(__name__)
_Body = TypeVar("_Body", bound=pydantic.BaseModel)


class _Asked(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", strict=True)


class _Lend(_Asked):
    """Ask for pictures, or for groups of them."""

    count: int = pydantic.Field(ge=1, le=MOST)
    groups: bool = False


class _Vote(_Asked):
    """Answer pictures: id -> liked, or null for no opinion."""

    answers: dict[str, bool | None] = pydantic.Field(min_length=1, max_length=MOST)


class _Undo(_Asked):
    """Take the last answer back."""


def application(
    voting: Voting, port: int, token: str | None = None, rate: float = RATE
) -> Starlette:
    """The application.

    Args:
        voting: whose pictures are shown.
        port: that it listens on.
        token: as of `Guard`.
        rate: requests a second that one address may send.
    """
    views = _Views(voting, f"tdmr1_voter_{port}")
    return Starlette(
        routes=[
            Route("/", views.one),
            Route("/groups", views.groups),
            Route("/session", views.session),
            Route("/join", views.join, methods=["POST"]),
            Route("/leave", views.leave, methods=["POST"]),
            Route("/images/{id}.png", views.image),
            Route("/api/lend", views.lend, methods=["POST"]),
            Route("/api/vote", views.vote, methods=["POST"]),
            Route("/api/undo", views.undo, methods=["POST"]),
            Mount("/static", StaticFiles(directory=FOLDER / "static")),
        ],
        middleware=[Middleware(Guard, token=token, port=port, limits=Limits(rate))],
        exception_handlers={
            HTTPException: _refused,
            ImageGone: _gone,
            QueueFailed: _failed,
            QueueInvalid: _failed,
            VoterUnknown: _unknown,
            Exception: _broken,
        },
    )


class _Views:
    """One method a path.

    Args:
        voting: whose pictures are shown.
        cookie: has the voter's key.
    """

    def __init__(self, voting: Voting, cookie: str) -> None:
        self.voting, self.store, self.cookie = voting, voting.store, cookie

    async def one(self, request: Request) -> Response:
        return await self._booth(request, "vote.html")

    async def groups(self, request: Request) -> Response:
        return await self._booth(request, "groups.html")

    async def session(self, request: Request) -> Response:
        voter = await self._voter(request)
        seen = await run_in_threadpool(look, self.store)
        return page("session.html", voter=voter, here="/session", session=seen)

    async def join(self, request: Request) -> Response:
        form = parse_qs((await _body(request)).decode("utf-8", "replace"))
        name, same = form.get("name", [""])[0], form.get("same", [""])[0]
        try:
            name = voter_name(name)
            if name != same and await run_in_threadpool(self.voting.joined, name):
                return page("join.html", 409, name=name, known=True, error="")
            key = await run_in_threadpool(self.voting.join, name)
        except NameInvalid as error:
            return page("join.html", 422, name=name, known=False, error=f"{error}.")
        response = RedirectResponse("/", 303)
        remember(response, request, self.cookie, key)
        return response

    async def leave(self, request: Request) -> Response:
        response = RedirectResponse("/", 303)
        response.delete_cookie(self.cookie, httponly=True, samesite="strict")
        return response

    async def image(self, request: Request) -> Response:
        data = await run_in_threadpool(self.store.png, request.path_params["id"])
        # An id is one picture for ever.
        kept = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(data, media_type="image/png", headers=kept)

    async def lend(self, request: Request) -> Response:
        asked, voter = await _asked(request, _Lend), await self._known_voter(request)
        told: dict[str, Any] = {"lease": self.voting.lease}
        if asked.groups:
            groups = await run_in_threadpool(self.voting.lend_groups, voter, asked.count)
            told["groups"] = [_pictures(group) for group in groups]
        else:
            lent = await run_in_threadpool(self.voting.lend, voter, asked.count)
            told["pictures"] = _pictures(lent)
        return await self._told(voter, told)

    async def vote(self, request: Request) -> Response:
        asked, voter = await _asked(request, _Vote), await self._known_voter(request)
        refused = await run_in_threadpool(self.voting.vote_all, voter, asked.answers)
        return await self._told(voter, {"refused": refused})

    async def undo(self, request: Request) -> Response:
        await _asked(request, _Undo)
        voter = await self._known_voter(request)
        lent = await run_in_threadpool(self.voting.undo, voter)
        return await self._told(voter, {"pictures": _pictures(lent)})

    async def _booth(self, request: Request, template: str) -> Response:
        voter = await self._voter(request)
        if voter is None:
            return page("join.html", name="", known=False, error="")
        words = await run_in_threadpool(agreement_in_words, self.store)
        return page(template, voter=voter, here=request.scope["path"], agreement=words)

    async def _voter(self, request: Request) -> str | None:
        key = request.cookies.get(self.cookie, "")
        return await run_in_threadpool(self.voting.voter, key)

    async def _known_voter(self, request: Request) -> str:
        voter = await self._voter(request)
        if voter is None:
            raise VoterUnknown("nobody has joined with this cookie")
        shown = request.headers.get(SHOWN)
        if shown is not None and unquote(shown) != voter:
            raise VoterUnknown("another page of this browser has changed who votes")
        return voter

    async def _told(self, voter: str, answer: dict[str, Any]) -> Response:
        progress = await run_in_threadpool(self.voting.progress, voter)
        answer["progress"] = {
            "done": progress.done,
            "waiting": progress.waiting,
            "seconds_left": progress.seconds_left,
        }
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _pictures(lent: list[Lent]) -> list[dict[str, Any]]:
    return [{"id": p.id, "prompt": p.prompt, "height": p.height, "width": p.width} for p in lent]


async def _body(request: Request) -> bytes:
    """All of a request's body.

    Raises:
        HTTPException: it is too long.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise HTTPException(413, "This is too long.")
    return body


async def _asked(request: Request, kind: type[_Body]) -> _Body:
    """What a script asks for.

    Raises:
        HTTPException: it is no JSON, or not of this kind.
    """
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415, "The content type is not application/json.")
    try:
        return kind.model_validate_json(await _body(request))
    except pydantic.ValidationError as error:
        (first, *_) = error.errors()
        where = ".".join(map(str, first["loc"])) or "the request"
        raise HTTPException(422, f"{where}: {first['msg']}.") from None


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return problem(request, 404, "Not here", "There is no such page.")
    if error.status_code == 405:
        return problem(request, 405, "Not like this", "This page is for another kind of request.")
    return problem(request, error.status_code, "This cannot be done", error.detail)


async def _gone(request: Request, error: Exception) -> Response:
    return problem(request, 404, "Not here", "This picture is not in the queue, or no more.")


async def _unknown(request: Request, error: Exception) -> Response:
    return problem(request, 401, "Who votes?", "Say who votes first.")


async def _failed(request: Request, error: Exception) -> Response:
    _log.error("%s", error)
    return problem(
        request,
        507,
        "Not saved",
        "The server could not read or save this: its disk is full, or fails. Nothing was changed.",
    )


async def _broken(request: Request, error: Exception) -> Response:
    """What nobody has thought of; uvicorn logs it. It comes from outside the guard."""
    response = problem(
        request, 500, "Something broke", "This is a fault of the server, which has logged it."
    )
    response.headers.update(HEADERS)
    return response
