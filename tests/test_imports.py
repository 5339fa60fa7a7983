"""Which packages the floors load: those below training and generation need no torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
ROOMS_WITHOUT_TORCH = ("core", "data", "store", "annotators", "labelling", "reports")


def modules_of(room: str) -> list[str]:
    """Dotted names of every module of a room."""
    files = sorted((SOURCE / "heedful" / room).rglob("*.py"))
    names = [".".join(file.relative_to(SOURCE).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("room", ROOMS_WITHOUT_TORCH)
def test_room_loads_without_torch(room: str) -> None:
    imports = "".join(f"import {name}\n" for name in modules_of(room))
    program = f"{imports}import sys\nprint(*sorted({{'torch', 'transformers'}} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    "file", sorted((SOURCE / "heedful" / "core").glob("*.py")), ids=lambda file: file.name
)
def test_core_imports_only_the_standard_library_and_pydantic(file: Path) -> None:
    allowed = sys.stdlib_module_names | {"pydantic", "heedful"}
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imported = set()
    for node in tree.body:  # top level: Parquet's pyarrow is imported where it is used
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= allowed
