"""The pages, rendered on the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

FOLDER = Path(__file__).parent

_environment = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,  # prompts and names are other people's text
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401
    """A page; `voter` and `here`, of its header, are empty unless they are given."""
    text = _environment.get_template(template).render({"voter": None, "here": "", **values})
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


def problem(request: Request, status: int, title: str, text: str, back: bool = True) -> Response:
    """What went wrong, in plain words: a page, or JSON where a script asked.

    Args:
        status: of HTTP.
        title: what it is.
        text: and what to do about it.
        back: whether the pictures can be seen all the same.
    """
    if request.scope["path"].startswith("/api/"):
        return JSONResponse({"error": text}, status, headers={"Cache-Control": "no-store"})
    return page("problem.html", status, title=title, text=text, back=back)
