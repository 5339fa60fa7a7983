"""Folders like the quickstart's and the data room's, written once, and their reports."""

from pathlib import Path

import pytest

from fakes.data_room_folder import write_data_room_folder
from fakes.quickstart_folder import write_quickstart_folder
from heedful.reports.data_page import build_data_report
from heedful.reports.data_run import DataRun, read_data_run
from heedful.reports.page import build_report
from heedful.reports.project import Project, read_project


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_quickstart_folder(tmp_path_factory.mktemp("report") / "demo")


@pytest.fixture(scope="session")
def project(folder: Path) -> Project:
    return read_project(folder)


@pytest.fixture(scope="session")
def html(folder: Path) -> str:
    return build_report(folder, folder.parent / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_room_folder(tmp_path_factory.mktemp("room") / "run")


@pytest.fixture(scope="session")
def data_run(room: Path) -> DataRun:
    return read_data_run(room)


@pytest.fixture(scope="session")
def data_html(room: Path) -> str:
    return build_data_report(room, room.parent / "report.html").read_text(encoding="utf-8")
