"""A folder like the quickstart's, written once, and its report."""

from pathlib import Path

import pytest

from fakes.quickstart_folder import write_quickstart_folder
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
