"""The house keeps its order: who may import whom, the one public door, and what ``import convscope`` costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import convscope
from conftest import ROOT
from convscope.summary import KINDS

SOURCE = ROOT / "src" / "convscope"
BASE = {"errors", "arrays", "blocks", "rich"}
MAY_IMPORT = {
    "errors": set(),
    "arrays": {"errors"},
    "blocks": set(),
    "rich": set(),
    "summary": BASE,
    "drawing": BASE,
    "formats": BASE,
    "store": BASE | {"formats", "summary"},
    "inspect": BASE | {"summary"},
    "embed": BASE | {"summary"},
    "scale": BASE | {"inspect", "embed"},
    "nets": BASE | {"formats", "summary", "inspect", "embed", "scale"},
    "view": BASE | {"formats", "summary", "store", "embed", "recording"},
    "recording": BASE | {"formats", "summary", "store", "inspect", "embed", "nets"},
    "compat": BASE | {"formats", "recording", "store"},
    "notebook": BASE | {"summary", "store", "view"},
}
EVERYTHING = {*MAY_IMPORT, "jobs", "console", ""}
COMMANDS = {
    *("cli_embed", "cli_export", "cli_figure", "cli_filters", "cli_options", "cli_project", "cli_view", "cli_volume"),
}
TOP = {
    "jobs": EVERYTHING,
    "console": set(),
    "demo": EVERYTHING,
    "cli_options": BASE,
    "cli_embed": EVERYTHING | {"cli_options"},
    "cli_export": EVERYTHING | {"cli_options"},
    "cli_figure": EVERYTHING | {"cli_options"},
    "cli_filters": EVERYTHING | {"cli_options"},
    "cli_volume": EVERYTHING | {"cli_options"},
    "cli_project": EVERYTHING | {"cli_options"},
    "cli_view": EVERYTHING | {"cli_options", "cli_volume"},
    "tensorboard_plugin": {"errors", "view"},
    "cli": EVERYTHING | COMMANDS | {"demo"},
    "": EVERYTHING,
}
FRAMEWORKS = {
    "torch": {"nets", "demo"},
    "onnx": {"nets"},
    "ray": {"scale"},
    "IPython": set(),
    "tensorboard": {"tensorboard_plugin"},
}


def room(path: Path) -> str:
    """Return the top-level package or module a file belongs to; the package's own ``__init__`` is ''."""
    part = path.relative_to(SOURCE).parts[0]
    return part.removesuffix(".py").replace("__init__", "")


def imports(path: Path) -> set[str]:
    """Return the dotted names a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the direction"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_upwards_only(path: Path) -> None:
    here = room(path)
    allowed = {**MAY_IMPORT, **TOP}[here] | {here}
    for name in imports(path):
        package, _, rest = name.partition(".")
        if package == "convscope":
            assert rest.split(".")[0] in allowed, f"{path} imports {name}"
        elif package in FRAMEWORKS:
            assert here in FRAMEWORKS[package], f"{path} imports {name}"


def test_the_public_door_is_the_documented_one() -> None:
    documented = {
        line.split("`")[1].removeprefix("cs.").split("(")[0]
        for line in (ROOT / "docs" / "api.md").read_text().splitlines()
        if line.startswith("## `")
    }
    assert set(convscope.__all__) == documented
    assert list(convscope.__all__) == sorted(convscope.__all__, key=str.lower)
    for name in convscope.__all__:
        assert getattr(convscope, name).__doc__, f"{name} has no docstring"


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Models'"):
        _ = convscope.Models


def test_each_kind_has_its_view_and_its_page() -> None:
    page = (ROOT / "docs" / "kinds.md").read_text()
    for kind in KINDS.values():
        assert (ROOT / "web" / "src" / "views" / f"{kind.view}.ts").exists(), f"{kind.name} has no view"
        section = page.partition(f"## {kind.name}\n")[2].partition("\n## ")[0]
        assert section, f"docs/kinds.md has no section on {kind.name}"
        picture = section.partition("](")[2].partition(")")[0]
        assert (ROOT / "docs" / picture).exists(), f"docs/kinds.md shows no picture of {kind.name}"


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_convscope_loads_numpy_and_nothing_heavier() -> None:
    code = "import sys, convscope; convscope.SummaryWriter; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = set(run_python(code).split())
    heavy = {"torch", "ray", "IPython", "onnx", "PIL", "starlette", "uvicorn", "typer", "rich", "safetensors", "scipy"}
    assert not loaded & heavy


def test_importing_convscope_loads_its_first_module_only() -> None:
    """So it costs next to nothing: the parts are loaded when they are first asked for."""
    code = "import sys, numpy; before = {*sys.modules}; import convscope; print(*{*sys.modules} - before)"
    assert set(run_python(code).split()) <= {"convscope", "__future__"}
