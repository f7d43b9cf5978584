"""The review page: a small server on this machine alone, for one page without a build step.

Nobody else gets in: it listens on the loopback address, answers to no other name, and wants a token that stands in the
address it was opened with. The page loads nothing from anywhere; its policy forbids it. What the reviewer does is
`reviewing`'s, act by act; this room carries it to and from the browser.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from eventx import markup
from eventx.reviewing import Desk, DeskError, Sheet, StaleError
from eventx.schema import MODALITIES
from eventx.text import words

_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_MOST = 1 << 16
"""Bytes of a request, at most: an act is small."""
Handler = Callable[[Request], Awaitable[Response]]


def application(desk: Desk, token: str) -> Starlette:
    """Return the web application for a desk.

    Args:
        desk: what is reviewed.
        token: that every request must bring, in the query of the page and in a header of what the page asks for.
    """

    def guarded(handler: Handler) -> Handler:
        async def answer(request: Request) -> Response:
            if request.headers.get("host", "").rsplit(":", 1)[0] not in _HOSTS:
                raise HTTPException(403, "this page answers on this machine alone")
            given = request.headers.get("x-token") or request.query_params.get("token") or ""
            if not secrets.compare_digest(given.encode(), token.encode()):
                raise HTTPException(403, "the token is missing or wrong; open the address that eventx review printed")
            try:
                response = await handler(request)
            except StaleError as error:
                response = JSONResponse({"error": str(error), "stale": True}, 409)
            except DeskError as error:
                response = JSONResponse({"error": str(error)}, 400)
            response.headers["Cache-Control"] = "no-store"
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Referrer-Policy"] = "no-referrer"
            return response

        return answer

    async def page(request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        text = files("eventx").joinpath("review.html").read_text(encoding="utf-8")
        facts = {
            "token": token,
            "types": [
                {"name": name, "what": desk.schema.definitions[name], "colour": markup.colour(name)}
                for name in desk.schema.types
            ],
            "modalities": dict(MODALITIES),
            "order": desk.fact("order"),
            "model": desk.fact("model"),
        }
        shown = json.dumps(facts).replace("<", "\\u003c")
        response = HTMLResponse(text.replace("NONCE", nonce).replace('"FACTS"', shown))
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return response

    async def contents(request: Request) -> Response:
        return JSONResponse(desk.contents())

    async def document(request: Request) -> Response:
        return JSONResponse(plain(desk.sheet(request.path_params["place"])))

    async def act(request: Request) -> Response:
        body = await request.body()
        if len(body) > _MOST:
            raise HTTPException(413, "too long for an act")
        try:
            value = json.loads(body)
            version, wanted = int(value["version"]), dict(value["act"])
        except (ValueError, KeyError, TypeError):
            raise HTTPException(400, "expected JSON with a version and an act") from None
        place = request.path_params["place"]
        undo = wanted.get("do") == "undo"
        return JSONResponse(plain(desk.undo(place, version) if undo else desk.act(place, version, wanted)))

    async def failed(request: Request, error: Exception) -> Response:
        code, what = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "a fault")
        return JSONResponse({"error": what}, code)

    routes = [
        Route("/", guarded(page)),
        Route("/documents", guarded(contents)),
        Route("/documents/{place:int}", guarded(document)),
        Route("/documents/{place:int}", guarded(act), methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: failed})


def plain(sheet: Sheet) -> dict[str, Any]:
    """Return a sheet as plain JSON values, its text in pieces: [text, start, end, is it a word], offsets in characters.

    The browser never counts characters: in its strings some take two places.
    """
    value = asdict(sheet)
    pieces: list[tuple[str, int, int, bool]] = []
    at = 0
    for start, end in words(sheet.text):
        if start > at:
            pieces.append((sheet.text[at:start], at, start, False))
        pieces.append((sheet.text[start:end], start, end, True))
        at = end
    if at < len(sheet.text):
        pieces.append((sheet.text[at:], at, len(sheet.text), False))
    del value["text"]
    return {**value, "pieces": pieces}
