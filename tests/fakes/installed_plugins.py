"""Packages with entry points, installed into a folder as pip would leave them."""

import tomllib
from pathlib import Path


def install(target: Path, name: str, source: str, entry_points: dict[str, dict[str, str]]) -> None:
    """Put a package of one module, `name`, version 1.0, into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.py").write_text(source)
    info = target / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = []
    for group, points in entry_points.items():
        lines += [f"[{group}]", *(f"{point} = {value}" for point, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def install_folder(target: Path, folder: Path) -> None:
    """Install the package of one module whose `pyproject.toml` lies in `folder`."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    name = project["name"].replace("-", "_")
    install(target, name, (folder / f"{name}.py").read_text(), project["entry-points"])
