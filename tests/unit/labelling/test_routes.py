"""The modules that make up the application are there, and no router is left out."""

import importlib
from pathlib import Path

from fastapi import APIRouter
from fastapi.routing import iter_route_contexts

from heedful.labelling import routes
from heedful.labelling.app import create_app, page_routes
from heedful.labelling.routes import MODULES
from heedful.store.database import open_database

FOLDER = Path(routes.__file__).parent


def test_every_listed_module_has_a_router() -> None:
    for name in MODULES:
        module = importlib.import_module(f"heedful.labelling.{name}")
        assert isinstance(module.router, APIRouter), name
        assert module.router.routes, name


def test_no_router_is_left_out(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path / 'labels.db'}", migrate=True) as database:
        served = {route.endpoint for route in page_routes(create_app(database))}
    for file in sorted(FOLDER.glob("*.py")):
        module = importlib.import_module(f"heedful.labelling.{file.stem}")
        router = getattr(module, "router", None)
        for route in iter_route_contexts(router.routes) if router is not None else ():
            assert route.endpoint in served, (file.name, route.path)
