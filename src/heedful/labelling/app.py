"""The labelling application: routers, errors, static files and protection put together.

Made anew for each database and settings; nothing is global. Starting a server is the
command line's.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.routing import RouteContext, iter_route_contexts
from pydantic import BaseModel
from starlette.routing import Mount

from heedful.labelling import errors
from heedful.labelling.guards import GUARDS, find_viewer
from heedful.labelling.kept_results import KeptResults
from heedful.labelling.protection import (
    Protection,
    check_query,
    check_write,
    hide_secrets_in_logs,
)
from heedful.labelling.request_paths import PUBLIC, is_api
from heedful.labelling.routes import MODULES
from heedful.labelling.server_settings import ServerSettings
from heedful.labelling.static_files import OwnFiles
from heedful.store.database import Database
from heedful.store.tokens import token_account


def create_app(database: Database, settings: ServerSettings | None = None) -> FastAPI:
    """The application on an open database.

    Raises:
        RuntimeError: A route has neither a guard nor a place among the public ones.
    """
    app = FastAPI(
        title="Heedful labelling",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        dependencies=[Depends(check_query), Depends(check_write)],
    )
    app.state.database = database
    app.state.settings = settings or ServerSettings()
    app.state.kept_results = KeptResults()
    for name in MODULES:
        app.include_router(importlib.import_module(f"heedful.labelling.{name}").router)
    app.mount("/static", OwnFiles(), name="static")
    errors.install(app)
    app.add_middleware(Protection, settings=app.state.settings, is_known=_is_known)
    app.state.query_names = {
        route.endpoint: frozenset(query_names(route)) for route in page_routes(app)
    }
    if unguarded := [route.path for route in page_routes(app) if not is_guarded(route)]:
        raise RuntimeError(f"routes without a guard: {', '.join(map(str, unguarded))}")
    hide_secrets_in_logs()
    return app


def page_routes(app: FastAPI) -> Iterator[RouteContext]:
    """Every route of the application but static files."""
    for route in iter_route_contexts(app.routes):
        if not isinstance(route.original_route, Mount):
            yield route


def is_guarded(route: RouteContext) -> bool:
    """Whether a route asks who is there, or is meant for everybody."""
    return route.path in PUBLIC or not GUARDS.isdisjoint(dependencies(route))


def dependencies(route: RouteContext) -> Iterator[Callable[..., Any]]:
    """Every dependency of a route, those of dependencies too."""
    waiting = [route.dependant] if hasattr(route, "dependant") else []
    while waiting:
        dependant = waiting.pop()
        if dependant.call is not None:
            yield dependant.call
        waiting += dependant.dependencies


def query_names(route: RouteContext) -> Iterator[str]:
    """The query parameters that a route declares, in its dependencies too."""
    waiting = [route.dependant] if hasattr(route, "dependant") else []
    while waiting:
        dependant = waiting.pop()
        for parameter in dependant.query_params:
            kind = parameter.field_info.annotation
            if inspect.isclass(kind) and issubclass(kind, BaseModel):
                for name, field in kind.model_fields.items():
                    yield field.alias or name
            else:
                yield parameter.alias
        waiting += dependant.dependencies


def _is_known(request: Request) -> bool:
    """Whether a request comes with a session, or to the API with a token, that is valid."""
    if not is_api(request.url.path):
        return find_viewer(request) is not None
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer":
        return False
    database: Database = request.app.state.database
    with database.read() as session:
        return token_account(session, token.strip()) is not None
