"""The pages of `limo view`: served on the loopback address alone, to who has the token, without a script.

Everything that a model or a file wrote is escaped, and a content security policy forbids whatever the pages do not
need: no script runs, nothing is loaded from or sent to anywhere else.  Links and forms are plain, so that the keyboard
suffices and every address can be kept.  They are in the command's language, or the one that the address names.
"""

from __future__ import annotations

import hmac
import secrets
import socket
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limo.core.errors import InputError
from limo.core.language import LANGUAGES, current_language, translated, translated_together
from limo.core.text import parse_json, whole_number
from limo.report.cases import escape_text
from limo.report.charts.drawing import style_sheet
from limo.report.view.query import HOST, Browser, Cell, Column, Filters, ProblemRow, search_pattern
from limo.report.words import marked, one_line, shown, verdict_reason

TOKEN = "token"
_FOLD = 6_000  # characters of a text that are shown before it is opened: a few screens
_TEMPLATES = Path(__file__).parent / "templates"
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
SIGNS = {"correct": "✓", "wrong": "✗", "no_answer": "∅", "truncated": "…", "undecided": "?", "error": "!"}
_MENUS = ("verdict", "reason", "level", "stage", "fate", "source")
_NAMED = ("verdict", "stage", "fate")  # menus whose values limo named itself
_FOLDED = ("problem", "model", *_MENUS, "solved", "unsolved")  # filters that a phone folds


def listen(port: int) -> socket.socket:
    """A socket on the loopback address; port 0 takes one that is free.  Raises InputError for one that is taken."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        do = "name another --port; 0 takes one that is free"
        raise InputError(f"the port cannot be used ({error.strerror})", port, "a free port", do) from error
    return listening


def serve(browser: Browser, listening: socket.socket, token: str) -> None:
    """Serve the pages on the socket until a signal comes, which raises KeyboardInterrupt."""
    import uvicorn

    app = make_app(browser, token, f"limo-view-{listening.getsockname()[1]}")
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listening])


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


def make_app(browser: Browser, token: str, cookie: str = "limo-view") -> Starlette:
    """The application; `cookie` is the name of the cookie that keeps the token out of later addresses."""
    pages = _Pages(browser)
    routes = [Route("/", pages.problems), Route("/problem", pages.problem), Route("/view.css", pages.style)]
    middleware = [
        Middleware(_Headers),
        Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False),
        Middleware(_Gate, token=token, cookie=cookie),
    ]
    errors: Any = {InputError: pages.refuse, HTTPException: pages.refuse}
    return Starlette(routes=routes, middleware=middleware, exception_handlers=errors)


class _Headers:
    """Adds the headers of safety to every reply, refusals included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class _Gate:
    """Lets requests in that bring the token, in the address once and then as a cookie."""

    def __init__(self, app: ASGIApp, token: str, cookie: str) -> None:
        self.app, self.token, self.cookie = app, token, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        reply: ASGIApp = self.app
        if self._is(request.query_params.get(TOKEN, "")):
            address = request.url.remove_query_params(TOKEN)
            target = "/" + address.path.lstrip("/\\") + (f"?{address.query}" if address.query else "")
            response = RedirectResponse(target, status_code=303)
            response.set_cookie(self.cookie, self.token, httponly=True, samesite="lax")
            reply = response
        elif not self._is(request.cookies.get(self.cookie, "")):
            refused = translated("open the address that `limo view` printed: it holds the token")
            reply = PlainTextResponse(refused + "\n", 403)
        await reply(scope, receive, send)

    def _is(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.token.encode())


class _Pages:
    """One method a page; the work is done between two awaits, so requests are served one after another."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        how: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
        self._templates = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, finalize=shown, **how)
        menus = {kind: browser.facet(kind) for kind in _MENUS}
        self._templates.globals |= {"signs": SIGNS, "one_line": one_line, "marked": marked, "escape": escape_text}
        self._templates.globals |= {"named": _NAMED, "folded": _FOLDED}
        self._templates.globals |= {"runs": browser.runs, "plural": len(browser.runs) > 1}
        self._templates.globals |= {"columns": browser.columns, "models": browser.facet("model"), "menus": menus}

    async def problems(self, request: Request) -> Response:
        """The problems that meet the filters."""
        filters = Filters.of_query(request.query_params)
        page = self.browser.page(filters, request.query_params.get("after", ""))
        shown = [c for c in self.browser.columns if not filters.model or c.model in filters.model.split(", ")]
        values = {"page": page, "shown": shown, "summary": _summary, "notes": self._notes(filters)}
        return self._render(request, "list", filters, **values)

    async def problem(self, request: Request) -> Response:
        """A problem, and two of its rollouts side by side."""
        filters, query = Filters.of_query(request.query_params), request.query_params
        row = self.browser.problem(query.get("id", ""), filters)
        keys = [query.get("left", ""), query.get("right", "")]
        if not any(keys):
            keys = [f"{cell.run}.{cell.id}" for cell in _first_two(row, filters)]
        after = self.browser.page(filters, row.place, 1).rows
        sides = [self._side(key, filters) for key in keys if key]
        options = parse_json(row.options or "[]")
        keys += [""] * (2 - len(keys))
        others = {"row": row, "sides": sides, "keys": keys, "options": options, "next": after[0].id if after else ""}
        return self._render(request, "problem", filters, **others)

    async def style(self, _: Request) -> Response:
        """The style sheet."""
        return PlainTextResponse(style_sheet(_TEMPLATES / "view.css"), media_type="text/css")

    async def refuse(self, request: Request, error: Exception) -> Response:
        """What cannot be shown, in a line."""
        status = error.status_code if isinstance(error, HTTPException) else 400
        language = _language(request)
        if isinstance(error, InputError):
            text = error.text(partial(translated_together, language=language))
        else:
            text = translated(getattr(error, "detail", ""), language)
        return PlainTextResponse(one_line(text) + "\n", status)

    def _render(self, request: Request, name: str, filters: Filters, **values: Any) -> Response:
        language = _language(request)
        switch = {other: request.url.include_query_params(lang=other).query for other in LANGUAGES if other != language}
        say = partial(translated, language=language)
        values |= {
            "language": language,
            "switch": switch,
            "say": say,
            "plain": lambda name: say(name).replace("_", " "),
            "why": lambda reason: verdict_reason(reason).text("zh" if language == "zh" else "en"),
        }
        text = self._templates.get_template(f"{name}.html.j2").render(filters=filters, **values)
        return HTMLResponse(text.encode("utf-8", "replace"))

    def _side(self, key: str, filters: Filters) -> dict[str, Any]:
        """A rollout as the page shows it; `key` is RUN.ID."""
        run, row_id = map(whole_number, key.partition(".")[::2])
        if run is None or row_id is None:
            raise InputError("this names no rollout", key, "RUN.ID", "go back to the list")
        rollout = self.browser.rollout(run, row_id)
        pattern = search_pattern(filters.q)
        texts = {}
        for name in ("reasoning", "text"):
            text = rollout[name].replace("\r\n", "\n")
            fold = len(text) if len(text) <= _FOLD * 5 // 4 else text.rfind("\n", _FOLD // 2, _FOLD) + 1 or _FOLD
            pieces = (text[:fold], text[fold:])
            texts[name] = [*(_marked(piece, pattern) for piece in pieces), len(pieces[1])]
        return {
            "key": key,
            "run": run,
            "column": Column(run, rollout["model"]),
            "texts": texts,
            **rollout,
        } | texts

    def _notes(self, filters: Filters) -> list[str]:
        """What a reader who came from a figure must know: its setting, another run, or another verifier since."""
        settings = [(name, getattr(filters, name)) for name in ("prompt", "sampling")]
        notes = [f"only rollouts of this {name}: {value}" for name, value in settings if value]
        names = {run.name for run in self.browser.runs} | {str(run.ledger.parent) for run in self.browser.runs}
        if filters.run and not {filters.run, filters.run.rstrip("/")} & names:
            notes.append(f"the figure is of a run that is not open here: {filters.run}")
        others = set(filters.verifier.split(", ")) - {""} - self.browser.facet("verifier").keys()
        if others:
            notes.append(f"verified again since; the figure rests on verdicts of {', '.join(sorted(others))}")
        return notes


def _language(request: Request) -> str:
    """The language that the address names, else the command's."""
    named = request.query_params.get("lang", "")
    return named if named in LANGUAGES else current_language()


def _summary(cells: list[Cell]) -> dict[str, Any]:
    """How many of a column's rollouts are correct, the colour of that, and why the others are not."""
    n_correct = sum(cell.outcome == "correct" for cell in cells)
    n_by_outcome = Counter(cell.outcome for cell in cells)
    level = max((cell.level for cell in cells), default="")
    most = "correct" if n_correct == len(cells) else "mixed" if n_correct else n_by_outcome.most_common(1)[0][0]
    first = next((cell for cell in cells if cell.matches), cells[0])
    return {"n": len(cells), "n_correct": n_correct, "kind": most, "level": level, "first": f"{first.run}.{first.id}"}


def _first_two(row: ProblemRow, filters: Filters) -> list[Cell]:
    """The rollouts to lay beside each other: what was searched or compared first, else the first two columns."""
    every = [cell for cells in row.cells.values() for cell in cells]
    solved = [c for c in every if c.column.key == filters.solved and c.outcome == "correct"]
    unsolved = [cell for cell in every if cell.column.key == filters.unsolved]
    firsts = [next((c for c in cells if c.matches), cells[0]) for cells in row.cells.values()]
    firsts.sort(key=lambda cell: not cell.matches)
    for left in firsts[:1]:  # beside it the same model of another run, where there is one
        firsts[1:] = sorted(firsts[1:], key=lambda c: (c.run == left.run, c.column.model != left.column.model))
    return list(dict.fromkeys([*solved[:1], *unsolved[:1], *firsts, *every]))[:2]


def _marked(text: str, pattern: Any) -> Markup:
    """The text made harmless, with what was searched for marked."""
    pieces, start = [], 0
    for match in pattern.finditer(text) if pattern else ():
        mark = Markup("<mark>{}</mark>").format(escape_text(match.group()))
        pieces += [escape_text(text[start : match.start()]), mark]
        start = match.end()
    return Markup("").join([*pieces, escape_text(text[start:])])
