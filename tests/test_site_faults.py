"""Sites that two write at once, that are killed at the end, and whose runs are called like files of the site."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from convscope import Summary, SummaryWriter, export
from convscope.errors import InputError
from convscope.view import sitefolder
from convscope.view.selection import Choice
from convscope.view.site import SiteReport, export_site, plan_site, write_site
from convscope.view.sitenames import folder_name


def one_channel(path: Path, *layers: str) -> Path:
    """Write a run of layers of one channel."""
    tiles = np.full((1, 1, 4, 4, 3), 9, np.uint8)
    arrays = {"value": np.ones((1, 1), np.float32), "image": np.zeros((1, 1), np.int64)}
    arrays |= {"position": np.zeros((1, 1, 2), np.int32), "box": np.zeros((1, 1, 4), np.int32)}
    arrays |= {each: np.ones(1) for each in ("mean", "max", "variance", "positive")}
    with SummaryWriter(path) as writer:
        for layer in layers:
            writer.add(Summary("topk", layer, arrays=arrays, pictures={"patch": tiles}))
    return path


def tree(path: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return one_channel(tmp_path_factory.mktemp("runs") / "pets", "stem", "top")


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "training"
    with SummaryWriter(path) as writer:
        writer.add_scalar("loss", 0.5, 1)
    return path


def test_an_export_that_was_planned_before_another_does_not_undo_it(tmp_path: Path, run: Path, training: Path) -> None:
    target = tmp_path / "site"
    late = plan_site(training, target, Choice())
    export_site(run, target, layers=["stem"])
    whole = tree(target)
    with pytest.raises(InputError, match="another export has written"):
        write_site(late)
    assert tree(target) == whole


def test_a_lock_that_was_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    first = fcntl.flock

    def flock(handle: int, how: int) -> None:
        first(handle, how)
        next(tmp_path.rglob(".convscope-lock")).unlink()  # whoever had it is done

    monkeypatch.setattr(fcntl, "flock", flock)
    with (
        pytest.raises(InputError, match="another export writes"),
        sitefolder.SiteFolder(tmp_path / "site").locked(),
    ):
        pytest.fail("two exports could write")


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_killed_before_it_has_removed_what_is_not_needed(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "site"
    export_site(run, tmp_path / "clean", layers=["stem"])
    export_site(run, target)
    (target / "program" / "old-chunk.js").write_text("")
    ledger = json.loads((target / sitefolder.LEDGER).read_text())
    ledger["program"].append("old-chunk.js")
    (target / sitefolder.LEDGER).write_text(json.dumps(ledger))
    with monkeypatch.context() as patch:
        patch.setattr(sitefolder.SiteFolder, "sweep", killed)
        with pytest.raises(KeyboardInterrupt):
            export_site(run, target, layers=["stem"])
    export_site(run, target, layers=["stem"])
    assert tree(target) == tree(tmp_path / "clean")


@pytest.mark.parametrize(
    "name", ["index.html", "preview.jpg", "sitemap.txt", "convscope-site.json", "data", "program", "404.html"]
)
def test_runs_and_layers_called_like_files_of_the_site(tmp_path: Path, name: str) -> None:
    site = tmp_path / "site"
    export_site({name: one_channel(tmp_path / "run", name)}, site, base_url="https://example.org")
    place = Path(folder_name(name)) / folder_name(name)
    assert (site / place / "0.html").is_file()
    assert (site / place.parent / "preview.jpg").is_file()
    front = (site / "index.html").read_text()
    assert f'og:image" content="https://example.org/{place.parent}/preview.jpg"' in front


@pytest.mark.parametrize("name", ["page.pdf", "page.PNG", "site.zip", "page.json"])
def test_the_name_of_a_file_of_another_type_is_no_folder(tmp_path: Path, training: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"an export is an \.html file, or a folder"):
        export(training, tmp_path / name)
    assert not list(tmp_path.iterdir())
    (tmp_path / name).mkdir()
    assert isinstance(export(training, tmp_path / name), SiteReport)
    assert isinstance(export(training, tmp_path / "v1.2"), SiteReport)
