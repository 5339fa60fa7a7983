"""Answers to what went wrong: a page for people, JSON for programs, with the same words.

Each carries the request's id, under which the server's log has the rest. What is not a
person's to put right says no more than that.
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from heedful.core.errors import (
    DraftConflictError,
    HeedfulError,
    LeaseLostError,
    LoginError,
    NotAllowedError,
    RateLimitedError,
    SchemaError,
    StoreUnavailableError,
)
from heedful.labelling.guards import NotFoundError, SignInNeededError, Viewer
from heedful.labelling.rendering import fields_of, render
from heedful.labelling.request_paths import is_api, local_path

STATUS_OF: dict[type[HeedfulError], int] = {
    SignInNeededError: 401,
    LoginError: 401,
    NotAllowedError: 403,
    NotFoundError: 404,
    LeaseLostError: 409,
    DraftConflictError: 409,
    RateLimitedError: 429,
    SchemaError: 503,
    StoreUnavailableError: 503,
}
_TITLES = {
    400: "This request cannot be understood",
    401: "Please sign in",
    403: "This is not allowed",
    404: "Not found",
    405: "This cannot be done here",
    409: "This was changed meanwhile",
    413: "This is too long",
    422: "Something does not fit",
    429: "Too many attempts",
    500: "A defect of ours",
    503: "Not available at the moment",
}


def install(app: FastAPI) -> None:
    """Let `app` answer errors this way."""
    app.add_exception_handler(HeedfulError, _on_heedful_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)


def answer(
    request: Request,
    status: int,
    detail: str,
    hint: str | None = None,
    **more: Any,
) -> Response:
    """An error as whoever asked can read it.

    Args:
        more: Further members of the JSON, such as the fields at fault.
    """
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    request_id = getattr(request.state, "request_id", "")
    if wants_json(request):
        content = {"error": title, "detail": detail, "hint": hint, "request_id": request_id}
        return JSONResponse({**content, **more}, status_code=status)
    # Not looked up: the database may be what is out of order.
    viewer = getattr(request.state, "viewer", None)
    context = {
        "title": title,
        "detail": detail,
        "hint": hint,
        "fields": more.get("fields", {}),
        "request_id": request_id,
        "error_status": status,
    }
    known = viewer if isinstance(viewer, Viewer) else None
    return render(request, "access/error.html", known, status, context)


def wants_json(request: Request) -> bool:
    """Whether a program asks: the API, or a script that sends or accepts JSON."""
    if is_api(request.url.path):
        return True
    accepted = request.headers.get("accept", "")
    sent = request.headers.get("content-type", "")
    return "text/html" not in accepted and (
        "application/json" in accepted or sent.startswith("application/json")
    )


async def _on_heedful_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HeedfulError)
    status = next((code for kind, code in STATUS_OF.items() if isinstance(error, kind)), 422)
    if isinstance(error, SignInNeededError):
        return _lead_to_sign_in(request, error)
    more: dict[str, Any] = {}
    if isinstance(error, DraftConflictError):
        more = {"revision": error.revision, "body": error.body}
    response = answer(request, status, error.what, error.hint, **more)
    if isinstance(error, RateLimitedError):
        response.headers["Retry-After"] = str(max(1, round(error.seconds)))
    elif status == 503:
        response.headers["Retry-After"] = "5"
    return response


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    hints = {404: "Check the address.", 405: "Go back and try another way."}
    detail = error.detail if error.status_code != 404 else "There is no such page."
    response = answer(request, error.status_code, str(detail), hints.get(error.status_code))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = fields_of(error.errors())
    detail = "; ".join(f"{name}: {message}" for name, message in fields.items())
    return answer(request, 422, detail, "Go back, correct it and send it again.", fields=fields)


def _lead_to_sign_in(request: Request, error: SignInNeededError) -> Response:
    path = request.url.path
    asks_for_page = request.method == "GET" and not wants_json(request)
    if asks_for_page and "hx-request" not in request.headers:
        target = local_path(path + (f"?{request.url.query}" if request.url.query else ""))
        address = "/login" if target == "/" else f"/login?next={quote(target, safe='/')}"
        return Response(status_code=303, headers={"Location": address})
    response = answer(request, 401, error.what, error.hint)
    if is_api(path):
        response.headers["WWW-Authenticate"] = "Bearer"
    elif "hx-request" in request.headers:
        response.headers["HX-Redirect"] = "/login"
    return response
