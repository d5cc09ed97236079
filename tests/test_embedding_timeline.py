"""Projections in parts, layouts over training steps, and ``convscope project``: laws, and what is left after a kill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from convscope import Embedding, Run, SummaryWriter
from convscope.cli import app
from convscope.embed.align import procrustes, timeline
from convscope.errors import ConvscopeError, InputError, NotFoundError
from convscope.jobs import projections
from convscope.jobs.projections import read_projection, record_projection


def drawn(count: int, seed: int = 0, dimensions: int = 2) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32) * [1, 2, 3][:dimensions]


def embedding(epoch: int, index: list[int] | None = None) -> Embedding:
    """Three classes that move apart from epoch to epoch."""
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 3
    vectors = (rng.normal(size=(60, 8)) + epoch * rng.normal(size=(3, 8))[labels]).astype(np.float32)
    whole = Embedding(vectors, labels, label_names=["cat", "dog", "bird"], layer="fc")
    return whole if index is None else whole.take(index)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 3), st.booleans(), st.booleans(), st.integers(0, 999))
def test_a_turned_layout_is_laid_back(dimensions: int, mirrored: bool, scaled: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = drawn(12, seed, dimensions)
    turn = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    turn[:, 0] *= np.sign(np.linalg.det(turn)) * (-1 if mirrored else 1)
    points = (target @ turn * (3 if scaled else 1) + rng.normal(size=dimensions)).astype(np.float32)
    way = procrustes(points, target, scale=scaled, reflection=mirrored)
    np.testing.assert_allclose(way.apply(points), target, atol=1e-4)
    assert way.distance < 1e-9
    np.testing.assert_allclose(way.rotation @ way.rotation.T, np.eye(dimensions), atol=1e-9)
    assert np.sign(np.linalg.det(way.rotation)) == (-1 if mirrored else 1)


def test_the_distance_is_that_of_the_literature() -> None:
    a, b = drawn(50, 3), drawn(50, 4)
    unit = [(one - one.mean(0)) / np.linalg.norm(one - one.mean(0)) for one in (a, b)]
    best = min(
        float(((unit[1] - scale * unit[0] @ np.array([[c, -s], [s, c]]) * [1, flip]) ** 2).sum())
        for angle in np.linspace(0, 2 * np.pi, 2000)
        for flip in (1, -1)
        for c, s in [(np.cos(angle), np.sin(angle))]
        for scale in [float((unit[1] * (unit[0] @ np.array([[c, -s], [s, c]]) * [1, flip])).sum())]
    )
    assert procrustes(a, b).distance == pytest.approx(best, abs=1e-5)
    assert procrustes(a, a[::-1].copy(), reflection=False).distance >= procrustes(a, a[::-1].copy()).distance


def test_layouts_are_matched_by_index_and_unfit_ones_refused() -> None:
    target = drawn(20)
    points = target[::-1].copy() + 7
    way = procrustes(points[:15], target, index=np.arange(19, 4, -1), target_index=np.arange(20))
    np.testing.assert_allclose(way.apply(points), target[::-1], atol=1e-5)
    assert procrustes(np.zeros((5, 2)), drawn(5)).distance == 1
    for wrong, said in (
        (lambda: procrustes(drawn(4), drawn(5)), "4 points and 5"),
        (lambda: procrustes(drawn(2), drawn(2)), "2 points in common"),
        (lambda: procrustes(drawn(4), drawn(4, 0, 3)), "same dimensions"),
        (lambda: procrustes(drawn(4), drawn(4), index=np.arange(4)), "give those of both"),
    ):
        with pytest.raises(InputError, match=said):
            wrong()


def test_a_timeline_stays_where_the_network_does_not_move() -> None:
    told: list[int] = []
    steps = [embedding(4), embedding(4), embedding(5)]
    film = timeline(steps, perplexity=10, iterations=120, each=lambda number, _: told.append(number))
    assert told == [0, 1, 2]
    alone = [one.project("tsne", perplexity=10, iterations=120, seed=seed) for seed, one in enumerate(steps)]
    moved = np.linalg.norm(film.projections[1].points - film.projections[0].points, axis=1).mean()
    assert film.mean_distance < 0.1
    assert moved < np.linalg.norm(alone[2].points - alone[0].points, axis=1).mean()
    assert film.projections[1].parameters["warm_start"]
    assert film.projections[2].parameters["aligned"]


def test_pictures_may_come_and_go() -> None:
    steps = [embedding(3, list(range(40))), embedding(3, list(range(10, 60)))]
    film = timeline(steps, perplexity=8, iterations=60)
    assert [len(one.points) for one in film.projections] == [40, 50]
    assert film.distances.shape == (1,)
    with pytest.raises(InputError, match="2 pictures in common"):
        timeline([embedding(3, list(range(30))), embedding(3, list(range(28, 60)))], "pca")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part after every frame."""
    monkeypatch.setattr(projections, "PART_SECONDS", 0.0)


@pytest.mark.usefixtures("quick")
def test_parts_are_one_projection_when_read_back(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with SummaryWriter(tmp_path) as writer:
        made = embedding(3)
        identity = writer.add(made, "fc", 7)
        final = record_projection(
            made, identity, writer, "fc", step=7, progress=lambda *s: told.append(s), perplexity=10, iterations=40
        )
        record_projection(made, identity, writer, "fc", "pca", step=7, dimensions=3)
    run = Run(tmp_path)
    parts = [run.record(entry) for entry in run.entries("projection", "fc/tsne")]
    assert [part.meta["part"] for part in parts] == list(range(len(parts)))
    assert len(parts) > 3
    assert len({part.meta["projection"] for part in parts}) == 1
    assert [part.meta["final"] for part in parts] == [False] * (len(parts) - 1) + [True]
    assert {part.step for part in parts} == {7}
    assert {part.meta["embedding"] for part in parts} == {identity}
    assert all(not part.meta["quality"] for part in parts[:-1])
    read = read_projection(run, "fc/tsne")
    np.testing.assert_array_equal(read.points, final.points)
    assert read.quality == pytest.approx(final.quality)
    assert read.frames is not None
    assert read.frames.iterations.tolist() == list(range(0, 40, 5))
    assert np.isfinite(read.frames.kl).any()
    assert read.parameters["versions"]["convscope"]
    assert told[-1] == (40, 40)
    space = read_projection(tmp_path, "fc/pca-3d", step=7)
    assert space.points.shape == (60, 3)
    assert space.frames is None
    with pytest.raises(NotFoundError, match="did you mean 'fc/tsne'"):
        read_projection(run, "fc/tsnee")
    with pytest.raises(NotFoundError, match="no step 8"):
        read_projection(run, "fc/tsne", step=8)


KILLED = """
import os, sys
from convscope.jobs import projections
sys.path.insert(0, {tests!r})
from test_embedding_timeline import embedding
from convscope import SummaryWriter
projections.PART_SECONDS = 0.0
writer = SummaryWriter({run!r})
made = embedding(3)
def progress(done, total):
    if done >= 20:
        os._exit(9)
projections.record_projection(
    made, writer.add(made, "fc"), writer, "fc", progress=progress, perplexity=10, iterations=60
)
"""


def test_a_killed_process_leaves_the_parts_that_were(tmp_path: Path) -> None:
    code = KILLED.format(tests=str(Path(__file__).parent), run=str(tmp_path / "run"))
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    read = read_projection(tmp_path / "run", "fc/tsne")
    assert not read.is_final
    assert read.iteration == 20
    assert read.frames is not None
    assert read.frames.iterations.tolist() == [0, 5, 10, 15, 20]


def log(run: Path, epochs: int) -> None:
    with SummaryWriter(run) as writer:
        for epoch in range(epochs):
            writer.add(embedding(epoch + 2), "fc", 10 * epoch)


def tell(*words: str) -> str:
    answer = CliRunner().invoke(app, ["project", *words])
    assert answer.exit_code == 0, answer.output + repr(answer.exception)
    return answer.output


def test_the_command_projects_every_step_once(tmp_path: Path) -> None:
    log(tmp_path, 3)
    words = (str(tmp_path), "--method", "pca,tsne", "--perplexity", "10", "--iterations", "40", "--timeline")
    said = tell(*words)
    assert "fc/pca: 3 steps" in said
    assert "fc/tsne: 3 steps, mean Procrustes distance from step to step 0." in said
    run = Run(tmp_path)
    layouts = [read_projection(run, "fc/tsne", step=step) for step in (0, 10, 20)]
    assert [one.is_final for one in layouts] == [True] * 3
    assert [bool(one.parameters["warm_start"]) for one in layouts] == [False, True, True]
    before = [entry.id for entry in run.entries("projection")]
    files = sorted(path.name for path in tmp_path.iterdir())
    assert "3 steps, there already" in tell(*words)
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    with SummaryWriter(tmp_path) as writer:
        writer.add(embedding(5), "fc", 30)
    assert "4 steps, 3 there already" in tell(*words)
    run.refresh()
    assert [entry.id for entry in run.entries("projection")][: len(before)] == before
    assert {entry.step for entry in run.entries("projection") if entry.id not in before} == {30}
    assert "fc/pca: 4 steps" in tell(str(tmp_path), "--method", "pca", "--seed", "1")  # asked otherwise: made anew


def test_embeddings_of_other_programs_are_projected(tmp_path: Path) -> None:
    made = embedding(3)
    with SummaryWriter(tmp_path) as writer:
        writer.add_embedding(made.vectors, [str(label) for label in made.labels], tag="codes", global_step=4)
    assert "codes/pca" in tell(str(tmp_path), "--method", "pca")
    run = Run(tmp_path)
    assert [(one.tag, one.step) for one in run.entries("embedding")] == [("codes", 4)]
    assert read_projection(run, "codes/pca").points.shape == (60, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "tsnee"], "did you mean 'tsne'"),
        (["--method", ","], "nothing to do"),
        (["--tag", "fcc"], "did you mean 'fc'"),
        (["--dimensions", "4"], "2 or 3 dimensions, not 4"),
        (["--perplexity", "0.5"], "at least 1, not 0.5"),
        (["--iterations", "0"], "at least 1 iteration"),
    ],
)
def test_wrong_words_are_one_sentence(tmp_path: Path, words: list[str], said: str) -> None:
    log(tmp_path, 1)
    answer = CliRunner().invoke(app, ["project", str(tmp_path), *words])
    assert isinstance(answer.exception, ConvscopeError)  # main() makes them exit code 2
    assert said in str(answer.exception)
    assert not Run(tmp_path).entries("projection")


def test_a_run_without_embeddings_says_how_to_get_some(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("loss", 1.0, 0)
    with pytest.raises(InputError, match="holds no embeddings; log some"):
        raise CliRunner().invoke(app, ["project", str(tmp_path)]).exception or AssertionError
    with pytest.raises(NotFoundError, match="no directory"):
        raise CliRunner().invoke(app, ["project", str(tmp_path / "away")]).exception or AssertionError
