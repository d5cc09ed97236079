"""Answers of numbers are compressed where the client takes that and it pays, and are the same numbers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np
import pytest

import convscope as cs
from convscope.view import serve
from convscope.view.packed import SMALL, accepts_gzip, gzipped


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("", False),
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("x-gzip", False),
    ],
)
def test_gzip_is_used_only_where_it_is_named(header: str, taken: bool) -> None:
    assert accepts_gzip(header) is taken


def test_only_what_shrinks_is_compressed() -> None:
    noise = np.random.default_rng(0).bytes(4 * SMALL)
    assert gzipped(noise) is None
    assert gzipped(bytes(SMALL - 1)) is None
    packed = gzipped(bytes(SMALL) + noise[:100])
    assert packed is not None
    assert gzip.decompress(packed) == bytes(SMALL) + noise[:100]


def test_voxels_take_a_fifth_of_the_float32_bytes(tmp_path: Path) -> None:
    maps = np.maximum(np.random.default_rng(0).normal(size=(96, 27, 27)), 0).astype(np.float32)
    with cs.SummaryWriter(tmp_path / "run") as writer:
        writer.add(cs.Volume(maps).to_summary())
    net = build_opener(ProxyHandler({}))
    with serve(tmp_path, port=0) as server:
        run = json.loads(net.open(server.url + "api/index").read())["runs"][0]
        query = urlencode({"run": "run", "id": run["records"][0]["id"], "names": "voxels,scale"})
        url = f"{server.url}api/arrays?{query}"
        with net.open(Request(url, headers={"Accept-Encoding": "gzip"})) as answer:
            sent = answer.read()
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["Vary"].lower() == "accept-encoding"
        with net.open(url) as answer:
            assert answer.headers["Content-Encoding"] is None
            assert answer.read() == gzip.decompress(sent)
    assert len(sent) <= maps.nbytes / 5
