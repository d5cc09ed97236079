"""A projection on its way: its frames, and what changes without losing the layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convscope.embed import Running, project
from convscope.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 8))[np.repeat(np.arange(3), 40)] * 6 + RNG.normal(size=(120, 8))
OPTIONS: dict[str, Any] = {"perplexity": 10, "engine": "numpy", "seed": 3}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convscope.embed.running.PATIENCE", 60.0)  # however busy the machine is


def frames(running: Running) -> list[Any]:
    return list(iter(running.step, None))


def test_running_arrives_where_project_does() -> None:
    running = Running(X, **OPTIONS, iterations=60)
    assert running.doing == "start"
    film = frames(running)
    assert [frame.iteration for frame in film] == list(range(0, 65, 5))
    assert np.isnan(film[0].kl)
    assert running.doing == "end"
    assert running.step() is None
    whole = project(X, "tsne", **OPTIONS, iterations=60, quality=False)
    np.testing.assert_array_equal(film[-1].points, whole.points)
    found = running.projection()
    assert found.is_final
    assert found.parameters == whole.parameters
    assert found.divergence == whole.divergence == film[-1].kl


def test_a_change_keeps_the_layout_and_goes_on() -> None:
    running = Running(X, **OPTIONS, iterations=100)
    while running.iteration < 50:
        running.step()
    before = running.projection().points
    running.change(perplexity=25.0)
    np.testing.assert_array_equal(running.projection().points, before)
    assert running.iterations == 300
    assert running.doing == "affinities"
    after = running.step()
    assert after is not None
    assert after.iteration == 55
    spread = before.std()
    assert np.abs(after.points - before).max() < 3 * spread
    assert running.parameters["perplexity_used"] == 25
    running.change(exaggeration=4.0, iterations=70)
    last = frames(running)[-1]
    assert last.iteration == running.iterations == 70
    running.change(perplexity=5)  # after its end
    assert running.iterations == 320
    assert running.step() is not None


def test_exaggeration_draws_clusters_together() -> None:
    running = Running(X, **OPTIONS, iterations=300)
    plain = frames(running)[-1].points
    running.change(exaggeration=6.0)
    tight = frames(running)[-1].points
    spread = [np.mean([at[i : i + 40].std(0).mean() for i in (0, 40, 80)]) for at in (plain, tight)]
    assert spread[1] < 0.7 * spread[0]


def test_the_first_frame_is_there_at_once() -> None:
    x = RNG.normal(size=(10_000, 50)).astype(np.float32)
    running = Running(x)
    frame = running.step()
    assert running.doing == "affinities", "what takes long comes after it; benchmarks/embedding.py has the seconds"
    assert frame is not None
    assert frame.points.shape == (10_000, 2)


def test_a_slow_step_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    running = Running(X, **OPTIONS, every=50, iterations=100)
    running.step()
    monkeypatch.setattr("convscope.embed.running.PATIENCE", 0.0)
    assert running.step().iteration == 1  # type: ignore[union-attr]


def test_many_points_are_placed_before_they_move() -> None:
    running = Running(X, **OPTIONS, sample=60, labels=np.repeat(np.arange(3), 40), iterations=20)
    film = frames(running)
    assert {frame.points.shape for frame in film} == {(120, 2)}
    assert [frame.iteration for frame in film] == [0, 0, 5, 10, 15, 20]
    found = running.projection()
    assert found.sampled == found.parameters["sample"] == 60


@pytest.mark.parametrize("method", ["pca", "axes"])
def test_methods_without_iterations_have_a_start_and_an_end(method: str) -> None:
    options = {"axes": [np.eye(8)[0], np.eye(8)[1], np.eye(8)[2]]} if method == "axes" else {"dimensions": 3}
    running = Running(X, method, **options)
    film = frames(running)
    assert [frame.points.shape for frame in film] == [(120, 3)] * 2
    np.testing.assert_array_equal(film[1].points, project(X, method, **options).points)
    assert running.projection().identity == running.identity
    with pytest.raises(InputError, match="no iterations to change"):
        running.change(perplexity=3)


def test_nonsense_is_refused_before_it_runs() -> None:
    with pytest.raises(InputError, match="1 of 120 vectors hold NaN"):
        Running(np.where(np.arange(120)[:, None] == 5, np.nan, X))
    with pytest.raises(InputError, match="at least 1 iteration apart"):
        Running(X, every=0)
    running = Running(X, **OPTIONS)
    with pytest.raises(InputError, match="perplexity of t-SNE is a positive"):
        running.change(perplexity=-1)
    with pytest.raises(InputError, match="dimensions cannot be changed"):
        running.change(dimensions=3)
    assert running.parameters["perplexity"] == 10
