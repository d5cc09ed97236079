"""Who does a search: the same bits here, in workers and after kills; what is sent to them, and reading ahead."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as fn

from convscope.errors import FormatError, InputError
from convscope.inspect.topk import TopK
from convscope.nets import engines
from convscope.nets.data import ArrayImages, FirstImages
from convscope.nets.images import image_set
from convscope.nets.torch import Model
from networks import quietly
from search_support import SHAPE, Dying, network, noise, searched


def _bytes(tops: dict[str, TopK]) -> dict[str, bytes]:
    return {
        f"{name}/{key}": array.tobytes() for name, top in tops.items() for key, array in top.to_summary().arrays.items()
    }


@pytest.fixture(scope="module")
def here() -> dict[str, bytes]:
    """What one uninterrupted search in this process finds."""
    return _bytes(searched(noise()))


def test_workers_give_the_same_bytes_even_when_one_is_killed(tmp_path: Path, here: dict[str, bytes]) -> None:
    steps: list[int] = []
    found = searched(Dying(tmp_path / "died"), workers=2, progress=lambda done, _: steps.append(done))
    assert (tmp_path / "died").exists(), "no worker was killed"
    assert _bytes(found) == here
    assert steps == [6, 12, 18, 23]


def test_a_search_whose_process_was_killed_is_resumed_to_the_same_bytes(tmp_path: Path, here: dict[str, bytes]) -> None:
    driver = Path(__file__).with_name("search_support.py")
    command = [sys.executable, str(driver), str(tmp_path / "died"), str(tmp_path / "state")]
    assert subprocess.run(command, check=False).returncode == -9
    assert (tmp_path / "state").exists()
    steps: list[int] = []
    found = searched(
        Dying(tmp_path / "died"), checkpoint=tmp_path / "state", every=1, progress=lambda done, _: steps.append(done)
    )
    assert steps[-1] == 23
    assert steps[0] > 6, "what the checkpoint holds was done again"
    assert _bytes(found) == here


@pytest.mark.parametrize("stops_after", [6, 12, 18])
@pytest.mark.parametrize("option", [{"score": "mean"}, {"per_image": 3}, {"tap": "before"}])
def test_a_search_with_options_resumes_to_the_same_bytes(
    tmp_path: Path, stops_after: int, option: dict[str, Any]
) -> None:
    def stop(done: int, total: int) -> None:
        if done == stops_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(noise(), checkpoint=tmp_path / "c", every=1, progress=stop, **option)
    resumed = searched(noise(), checkpoint=tmp_path / "c", every=1, **option)
    assert _bytes(resumed) == _bytes(searched(noise(), **option))


def test_the_callers_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    searched(noise(), threads=before + 1, progress=lambda *_: seen.append(torch.get_num_threads()))
    assert set(seen) == {before + 1}
    with pytest.raises(ZeroDivisionError):
        searched(noise(), threads=before + 1, progress=lambda *_: 1 // 0)
    assert torch.get_num_threads() == before


class Tied(nn.Module):
    """A network that has a layer under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.tied = self.conv

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return fn.relu(self.tied(x))


def plainly(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return net(x)


def _sent(model: Model, images: Any) -> Any:
    work = engines.Search(model._called, model._images(images), model._taps(None), 3, 4)
    return engines.sent(work, torch.get_num_threads())


def test_what_is_sent_searches_as_the_original(tmp_path: Path) -> None:
    x = torch.zeros(2, *SHAPE)
    dynamic = {"x": {0: torch.export.Dim("batch", min=2)}}
    exported = torch.export.export(network().eval(), (x,), dynamic_shapes=dynamic)
    for net, call in (
        (Tied(), None),
        (network(), plainly),
        (exported, None),
        (quietly(torch.jit.trace, network().eval(), x), None),
    ):
        model = Model(net, input_shape=SHAPE, call=call)
        before = {name: p.data_ptr() for name, p in model.network.named_parameters()}
        there = _sent(model, noise())()
        assert {name: p.data_ptr() for name, p in model.network.named_parameters()} == before
        mine = engines.Search(model._called, noise(), model._taps(None), 3, 4)
        states, others = mine((0, 8)), there((0, 8))
        assert states.keys() == others.keys()
        for name in states:
            for key, array in states[name].to_arrays().items():
                assert array.tobytes() == others[name].to_arrays()[key].tobytes()


def test_every_set_of_images_can_be_sent(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    from PIL import Image

    pixels = noise().pixels[:6]
    (tmp_path / "folder").mkdir()
    paths = [tmp_path / "folder" / f"{n}.png" for n in range(6)]
    for path, picture in zip(paths, pixels, strict=True):
        Image.fromarray(picture[..., 0]).save(path)
    pq.write_table(pa.table({"image": [path.read_bytes() for path in paths]}), tmp_path / "x.parquet")
    np.save(tmp_path / "x.npy", pixels)
    floats = torch.rand(6, 1, 14, 13)
    sets = (
        tmp_path / "folder",
        tmp_path / "x.parquet",
        tmp_path / "x.npy",
        paths,
        [Image.open(path) for path in paths],
        list(pixels),
        floats.numpy(),
        torch.utils.data.TensorDataset(floats, torch.arange(6)),
    )
    for given in sets:
        images = FirstImages(image_set(given, noise().preprocessing), 5)
        again = pickle.loads(engines._pickled("dataset", images))
        assert again.images(0, 5).tobytes() == images.images(0, 5).tobytes()
        assert again.fingerprint == images.fingerprint


def test_a_memory_map_is_not_copied(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5000, 14, 13), np.uint8)
    np.save(tmp_path / "x.npy", pixels)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for part in (mapped, mapped[17:], mapped[100:4000:3, ::2], mapped[3:, None], mapped.transpose(0, 2, 1)):
        data = engines._pickled("dataset", part)
        assert len(data) < 1000
        assert np.array_equal(pickle.loads(data), part)
    for copied in (mapped[::-1], mapped[:3].copy(), mapped[:2] + 1):
        assert np.array_equal(pickle.loads(engines._pickled("dataset", copied)), copied)


def test_what_cannot_be_sent_is_said() -> None:
    class Local(nn.Sequential):
        pass

    for model, what in (
        (Model(Local(nn.Conv2d(1, 2, 3)), input_shape=SHAPE), r"the network \(Local\)"),
        (Model(network(), input_shape=SHAPE, call=lambda net, x: net(x)), r"the network \(Called\)"),
    ):
        with pytest.raises(InputError, match=f"{what} cannot be sent to worker processes .*use workers=1"):
            model.top_k(noise(), workers=2)
    images = noise()
    images.open_file = threading.Lock()
    with pytest.raises(InputError, match=r"the set of images \(ArrayImages\) cannot be sent .*lock"):
        Model(network(), input_shape=SHAPE).top_k(images, workers=2)


class _Generated(ArrayImages):
    """Images that are made when they are asked for; the threads that ask are noted."""

    def __init__(self, count: int, *, concurrent: bool = True) -> None:
        super().__init__(np.zeros((1, 14, 13), np.uint8))
        self.count, self.concurrent = count, concurrent
        self.threads: set[int] = set()
        self.most = 0

    def __len__(self) -> int:
        return self.count

    def images(self, start: int, stop: int) -> np.ndarray:
        self.threads.add(threading.get_ident())
        self.most = max(self.most, stop)
        if start <= 40 < stop and self.count == 41:
            raise FormatError("image 40 is damaged")
        return np.random.default_rng(start).random((stop - start, *SHAPE), np.float32)


def test_images_are_read_ahead_in_a_thread_only_where_that_is_safe() -> None:
    for concurrent in (True, False):
        images = _Generated(30, concurrent=concurrent)
        searched(images)
        images.threads.discard(threading.get_ident()) if concurrent else None  # that of a look at the first image
        assert len(images.threads) == 1
        assert (threading.get_ident() in images.threads) != concurrent
    assert not any("convscope-read" in thread.name for thread in threading.enumerate())


def test_reading_ahead_is_bounded() -> None:
    images = _Generated(60)
    ahead: list[int] = []
    searched(images, progress=lambda done, _: ahead.append(images.most - done))
    assert max(ahead) <= 3 * 3, "at most two batches of three, and the one that is being looked at"


def test_a_damaged_image_is_told_when_its_turn_comes(tmp_path: Path) -> None:
    steps: list[int] = []
    with pytest.raises(FormatError, match="image 40 is damaged"):
        searched(_Generated(41), progress=lambda done, _: steps.append(done))
    assert steps == [6, 12, 18, 24, 30, 36]
    assert not any("convscope-read" in t.name for t in threading.enumerate())


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    model = Model(nn.Sequential(nn.Conv2d(1, 2, 3)), input_shape=SHAPE)
    peaks = []
    for count in (1024, 8192):
        images = _Generated(count)
        tracemalloc.start()
        model.top_k(images, batch_size=64)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1 << 20, "the images that are more have 5 MB"
