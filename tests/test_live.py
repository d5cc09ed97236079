"""A network attached to the viewer: what it says of a picture that is handed in, and who may hand one in."""

from __future__ import annotations

import asyncio
import io
import struct
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load as load_safetensors
from starlette.testclient import TestClient
from torch import nn

import convscope as cs
from convscope import Run, SummaryWriter
from convscope.cli import main
from convscope.errors import FormatError, InputError, NotFoundError
from convscope.inspect.maps import maps_tag
from convscope.jobs.live import LiveModel, read_classes
from convscope.nets.preprocessing import Preprocessing
from convscope.nets.torch import Model
from convscope.store import Logdir
from convscope.store.memory import Promise, Workshop
from convscope.summary import Summary
from convscope.view import RunningServer, serve, upload
from convscope.view.live import MOST_BYTES, MOST_PICTURES, Live, Looked, tidy
from convscope.view.serve import make_source
from convscope.view.server import create_app

HOW = Preprocessing(16, (16, 16), (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
OURS = {"x-convscope-live": "1", "content-type": "image/png"}
HOME = "http://127.0.0.1:6007"
RUN = "live: net"


class Net(nn.Module):
    """Two convolutions, the first with an in-place ReLU, and a classifier; it counts its forward passes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2)
        self.classifier = nn.Linear(6 * 7 * 7, 7)
        self.passes = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return self.classifier(torch.relu(self.conv2(self.relu1(self.conv1(x)))).flatten(1))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


@pytest.fixture
def model(net: Net) -> Model:
    return Model(net, input_shape=(3, 16, 16), preprocessing=HOW, name="net")


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    with SummaryWriter(tmp_path / "logdir" / "trained") as writer:
        writer.add_scalar("loss", 1.0, 1)
    return tmp_path / "logdir"


@pytest.fixture
def client(model: Model, logdir: Path) -> TestClient:
    return client_of(LiveModel(model), logdir)


def client_of(live: Live | None, logdir: Path | None = None) -> TestClient:
    return TestClient(create_app(make_source(logdir, live)), base_url=HOME)


def pixels(height: int = 20, width: int = 30, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encoded(image: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, kind, **options)
    return out.getvalue()


def look(client: TestClient, data: bytes, name: str = "cat.png", **headers: str) -> Any:
    return client.post("/api/live/look", params={"name": name}, content=data, headers={**OURS, **headers})


def live_run(client: TestClient) -> dict[str, Any]:
    (run,) = [run for run in client.get("/api/index").json()["runs"] if run.get("live")]
    return dict(run)


def arrays_of(client: TestClient, tag: str, names: str, **more: str) -> dict[str, np.ndarray]:
    (entry,) = [entry for entry in live_run(client)["records"] if entry["tag"] == tag and entry["kind"] == "maps"]
    answer = client.get("/api/arrays", params={"run": RUN, "id": entry["id"], "names": names, **more})
    assert answer.status_code == 200
    return dict(load_safetensors(answer.content))


def test_the_maps_are_those_of_the_networks_own_forward_pass(client: TestClient, net: Net) -> None:
    image = pixels()
    answer = look(client, encoded(image)).json()
    assert (answer["run"], answer["picture"], answer["layer"]) == (RUN, "cat.png", "conv1")
    shown = HOW.fit(image)
    x = torch.from_numpy(HOW.normalise(shown))[None]
    with torch.no_grad():
        conv1 = net.conv1(x)
        relu1 = torch.relu(conv1)
        conv2 = net.conv2(relu1)
        logits = net.classifier(torch.relu(conv2).flatten(1))
    for layer, truth in {"conv1": conv1, "relu1": relu1, "conv2": conv2, "relu": torch.relu(conv2)}.items():
        found = arrays_of(client, f"{layer} @ cat.png", "map,range")
        np.testing.assert_allclose(found["map"], truth[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found["range"], np.stack([found["map"].min((1, 2)), found["map"].max((1, 2))], 1))
    probabilities = logits[0].double().softmax(0)
    assert [p["probability"] for p in answer["predictions"]] == pytest.approx(
        sorted(probabilities.tolist(), reverse=True)[:5], rel=1e-4
    )
    assert answer["predictions"][0]["label"] == f"class {int(probabilities.argmax())}"


def test_all_layers_come_from_one_forward_pass(client: TestClient, net: Net) -> None:
    before = net.passes
    answer = look(client, encoded(pixels())).json()
    for one in answer["tags"]:
        assert np.isfinite(arrays_of(client, one["tag"], "map")["map"]).all()
    assert net.passes == before + 1
    assert [one["layer"] for one in answer["tags"]][:3] == ["conv1", "relu1", "conv2"]
    assert not net.conv1._forward_hooks


def test_the_live_run_stands_last_and_leaves_the_others_alone(client: TestClient, logdir: Path) -> None:
    stored = client_of(None, logdir).get("/api/index").json()
    files = {path: path.stat().st_mtime_ns for path in logdir.rglob("*")}
    before = client.get("/api/index").json()
    assert before["live"]["pictures"] == []
    assert (before["live"]["model"], before["live"]["layer"], before["live"]["input_shape"]) == (
        "net",
        "conv1",
        [3, 16, 16],
    )
    assert look(client, encoded(pixels())).status_code == 200
    after = client.get("/api/index").json()
    assert after["version"] > before["version"]
    assert [run["name"] for run in after["runs"]] == ["trained", RUN]
    for run in (*after["runs"], *stored["runs"]):
        run.pop("edition", None)  # that of the server that has read it
    assert after["runs"][:1] == stored["runs"]
    assert after["live"]["pictures"] == ["cat.png"]
    assert after["runs"][-1]["last_wall_time"] is None
    loss = client.get("/api/series", params={"run": "trained", "kind": "scalar", "tag": "loss"})
    assert load_safetensors(loss.content)["value"].tolist() == [1.0]
    assert {path: path.stat().st_mtime_ns for path in logdir.rglob("*")} == files


def test_the_index_says_where_no_network_is_attached(logdir: Path) -> None:
    client = client_of(None, logdir)
    assert "live" not in client.get("/api/index").json()
    refused = look(client, encoded(pixels()))
    assert refused.status_code == 404
    assert "--model" in refused.json()["error"]
    assert client.delete("/api/live/pictures", headers=OURS).status_code == 404


def test_a_live_record_answers_as_the_stored_one_does(model: Model, tmp_path: Path) -> None:
    live = LiveModel(model)
    client = client_of(live)
    assert look(client, encoded(pixels())).status_code == 200
    (entry,) = [e for e in live_run(client)["records"] if e["tag"] == "conv2 @ cat.png"]
    with SummaryWriter(tmp_path / "run") as writer:
        name = writer.add(live.look(encoded(pixels()), "cat.png").records["conv2"].make())
    stored = client_of(None, tmp_path)
    asks = {"live": {"run": RUN, "id": entry["id"]}, "stored": {"run": "run", "id": name}}
    both = {key: (client if key == "live" else stored).get("/api/record", params=asks[key]).json() for key in asks}
    for description in both.values():
        for key in ("id", "wall_time"):
            del description[key]
    assert both["live"] == both["stored"]
    for more in ({"names": "map,small,range"}, {"names": "map", "rows": "2:5"}):
        parts = [
            load_safetensors(c.get("/api/arrays", params={**asks[key], **more}).content)
            for c, key in ((client, "live"), (stored, "stored"))
        ]
        assert all(np.array_equal(parts[0][key], parts[1][key]) for key in parts[1])
    file = both["stored"]["pictures"]["input"]["files"][0]
    sheets = [
        c.get("/api/picture", params={**asks[k], "file": file}) for c, k in ((client, "live"), (stored, "stored"))
    ]
    assert sheets[0].content == sheets[1].content
    assert sheets[0].headers["cache-control"] == "no-store"
    assert "immutable" in sheets[1].headers["cache-control"]


def test_rows_and_unknown_names_of_a_live_record(client: TestClient) -> None:
    look(client, encoded(pixels()))
    assert arrays_of(client, "conv2 @ cat.png", "map", rows="1:3")["map"].shape == (2, 7, 7)
    entry = next(e for e in live_run(client)["records"] if e["kind"] == "maps")
    ask = {"run": RUN, "id": entry["id"]}
    for path, more, sentence in (
        ("arrays", {"names": "mapp"}, "did you mean 'map'"),
        ("picture", {"file": "input/001.webp"}, "input/000"),
        ("record", {"id": "00000000-maps-000000"}, "no record"),
        ("series", {"kind": "scalar", "tag": "loss"}, "holds no series"),
    ):
        refused = client.get(f"/api/{path}", params={**ask, **more})
        assert refused.status_code in (400, 404)
        assert sentence in refused.json()["error"]


def test_filters_and_architecture_need_no_picture(model: Model) -> None:
    client = client_of(LiveModel(model))
    records = live_run(client)["records"]
    assert [(e["kind"], e["tag"]) for e in records] == [
        ("architecture", "net"),
        ("filters", "conv1"),
        ("filters", "conv2"),
    ]
    found = load_safetensors(
        client.get("/api/arrays", params={"run": RUN, "id": records[1]["id"], "names": "weight"}).content
    )
    np.testing.assert_array_equal(found["weight"], model.filters("conv1"))
    described = client.get("/api/record", params={"run": RUN, "id": records[0]["id"]}).json()
    assert [layer["name"] for layer in described["meta"]["layers"]] == [layer.name for layer in model.layers]
    assert client.get("/api/series", params={"run": "other", "kind": "scalar", "tag": "x"}).status_code == 404


def test_pictures_are_forgotten_one_by_one_or_all(client: TestClient) -> None:
    for name in ("a.png", "b.png", "c.png"):
        look(client, encoded(pixels()), name)
    entry = next(e for e in live_run(client)["records"] if e["tag"] == "conv1 @ b.png")
    gone = client.delete("/api/live/pictures", params={"name": "b.png"}, headers=OURS)
    assert gone.status_code == 200
    assert client.get("/api/index").json()["live"]["pictures"] == ["a.png", "c.png"]
    assert client.get("/api/record", params={"run": RUN, "id": entry["id"]}).status_code == 404
    unknown = client.delete("/api/live/pictures", params={"name": "b.png"}, headers=OURS)
    assert unknown.status_code == 404
    assert "no picture 'b.png'" in unknown.json()["error"]
    assert client.delete("/api/live/pictures", headers=OURS).status_code == 200
    assert {e["kind"] for e in live_run(client)["records"]} == {"architecture", "filters"}


def test_what_is_forgotten_leaves_the_memory(model: Model) -> None:
    live = LiveModel(model)
    seen = live.look(encoded(pixels()), "a.png")
    assert live._held._bytes > 0
    live.forget("a.png")
    live.forget("a.png")  # as often as one likes
    assert (live._held._bytes, live._pictures) == (0, {})
    with pytest.raises(NotFoundError, match="has been forgotten; hand it in again"):
        seen.records["conv1"].make()


def test_only_the_last_pictures_are_kept(client: TestClient) -> None:
    small = encoded(pixels(16, 16))
    for number in range(MOST_PICTURES + 2):
        assert look(client, small, f"{number}.png").status_code == 200
    kept = client.get("/api/index").json()["live"]["pictures"]
    assert kept == [f"{number}.png" for number in range(2, MOST_PICTURES + 2)]
    assert len({e["id"] for e in live_run(client)["records"]}) == len(live_run(client)["records"])


def test_what_does_not_fit_into_memory_is_computed_again_with_equal_values(model: Model, net: Net) -> None:
    wide, tight = LiveModel(model), LiveModel(model, held_bytes=6 * 7 * 7 * 4 * 4)  # a quarter of it holds conv2 only
    data = encoded(pixels())
    whole = wide.look(data, "a").records
    parts = tight.look(data, "a").records
    assert list(whole) == list(parts)
    before = net.passes
    for name in whole:
        np.testing.assert_array_equal(whole[name].make().arrays["map"], parts[name].make().arrays["map"])
        assert tight._held._bytes <= max(tight._held.most, 4 * 16 * 16 * 4)
    assert net.passes > before


def test_the_workshop_keeps_the_last_few_and_makes_the_others_again() -> None:
    made: list[str] = []

    def promise(name: str) -> Promise:
        def make() -> Summary:
            made.append(name)
            return Summary("projection", name, arrays={"points": np.zeros((1, 2), np.float32)})

        return Promise("projection", name, 8, make)

    shop = Workshop(most=2)
    for name in ("a", "b", "a", "c", "a", "b"):
        assert shop.summary(name, promise(name)).tag == name
    assert made == ["a", "b", "c", "b"]
    shop.forget(["a", "b", "z"])
    shop.summary("a", promise("a"))
    assert made[-1] == "a"


def test_names_are_told_apart_and_tidied(client: TestClient) -> None:
    data = encoded(pixels())
    assert [look(client, data).json()["picture"] for _ in range(3)] == ["cat.png", "cat.png (2)", "cat.png (3)"]
    assert tidy("../../etc/pass\u202ewd\n.png") == "passwd.png"
    assert tidy("C:\\photos\\cat.png") == "cat.png"
    assert tidy(" \x00 ") == "picture"
    assert len(tidy("x" * 5000)) <= 120


def test_a_stored_run_keeps_its_name(model: Model, tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "live: net") as writer:
        writer.add_scalar("loss", 1.0, 1)
    names = [run["name"] for run in client_of(LiveModel(model), tmp_path).get("/api/index").json()["runs"]]
    assert names == ["live: net", "live: net (2)"]


# pictures


def test_a_picture_is_seen_upright_and_in_the_networks_colours(model: Model) -> None:
    image = Image.fromarray(pixels(20, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    turned = encoded(image, "PNG", exif=exif)
    plain = encoded(image.transpose(Image.Transpose.ROTATE_270))
    live = LiveModel(model)
    maps = [live.look(data, "a").records["conv1"].make() for data in (turned, plain)]
    np.testing.assert_array_equal(maps[0].arrays["map"], maps[1].arrays["map"])
    np.testing.assert_array_equal(maps[0].pictures["input"], maps[1].pictures["input"])


def test_a_network_without_preprocessing_or_of_grey_pictures_takes_photographs_of_any_size() -> None:
    torch.manual_seed(0)
    grey = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 26 * 26, 10))
    for how in (None, Preprocessing(order="L")):
        live = LiveModel(Model(grey, input_shape=(1, 28, 28), preprocessing=how, name="grey"))
        made = live.look(encoded(pixels(50, 90)), "a").records["0"].make()
        assert made.arrays["map"].shape == (2, 26, 26)
        assert made.pictures["input"].shape == (1, 1, 28, 28, 1)


def test_classes_are_named_and_a_softmax_is_not_taken_twice(net: Net) -> None:
    names = [f"sort {n}" for n in range(7)]
    plain = LiveModel(Model(net, input_shape=(3, 16, 16), preprocessing=HOW), classes=names)
    ended = LiveModel(
        Model(nn.Sequential(net, nn.Softmax(1)), input_shape=(3, 16, 16), preprocessing=HOW), classes=names
    )
    first, second = (live.look(encoded(pixels()), "a").predictions for live in (plain, ended))
    assert [p["label"] for p in first] == [p["label"] for p in second]
    assert [p["probability"] for p in first] == pytest.approx([p["probability"] for p in second], rel=1e-4)
    assert first[0]["label"] in names


def test_a_network_without_classes_has_maps_all_the_same() -> None:
    body = Model(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), input_shape=(3, 8, 8), name="body")
    seen = LiveModel(body).look(encoded(pixels()), "a")
    assert seen.predictions == []
    assert list(seen.records) == ["0", "1"]


def test_a_preprocessing_for_another_size_is_made_to_fit(net: Net) -> None:
    for how in (Preprocessing(256, (224, 224)), Preprocessing(32), Preprocessing(crop=(16, 16))):
        seen = LiveModel(Model(net, input_shape=(3, 16, 16), preprocessing=how)).look(encoded(pixels(90, 50)), "a")
        assert seen.records["conv1"].make().arrays["map"].shape == (4, 16, 16)


def test_real_weights_name_real_photographs(real_data: Path) -> None:
    (weights,) = (real_data / "squeezenet-v1.0-fp32").glob("*.npz")
    names = read_classes(real_data / "labels" / "synset_words.txt")
    live = LiveModel(Model("squeezenet1_0", weights=weights), classes=names)
    photographs = sorted((real_data / "imagenet-sample-images").glob("*.JPEG"))  # in the order of the classes
    hits = 0
    for number in range(0, 200, 10):
        said = live.look(photographs[number].read_bytes(), "a").predictions
        hits += names[number] in [one["label"] for one in said]
    assert hits >= 14  # its top-5 accuracy is about 82 %; by chance none would be right


def test_what_cannot_be_attached_says_why(model: Model) -> None:
    with pytest.raises(InputError, match="2 names of classes do not fit net, which puts out 7 numbers"):
        LiveModel(model, classes=["a", "b"])
    body = Model(nn.Sequential(nn.Conv2d(3, 4, 3)), input_shape=(3, 8, 8), name="body")
    with pytest.raises(InputError, match="body does not put out classes; leave out their names"):
        LiveModel(body, classes=["a"])
    with pytest.raises(InputError, match="no layer with feature maps"):
        LiveModel(Model(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), input_shape=(3, 2, 2)))
    with pytest.raises(InputError, match="of 5 channels"):
        LiveModel(Model(nn.Sequential(nn.Conv2d(5, 2, 3)), input_shape=(5, 8, 8)))


def test_names_of_classes_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n")
    assert read_classes(file) == ("tench", "goldfish")
    file.write_text("cat\ndog\n")
    assert read_classes(file) == ("cat", "dog")
    with pytest.raises(NotFoundError, match="no file"):
        read_classes(tmp_path / "none.txt")


# who may hand in what


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


WHOLE = encoded(pixels())
BAD_PICTURES = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "html": b"<!doctype html><script>alert(1)</script>",
    "truncated": encoded(pixels(300, 300), "JPEG")[:2000],
    "bomb": png(60_000, 60_000),
    "large": png(12_000, 8_000),
    "program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "noise": bytes(range(256)) * 8,
}


@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_bad_pictures_are_refused_in_a_sentence_and_nothing_is_lost(client: TestClient, kind: str) -> None:
    look(client, WHOLE, "good.png")
    before = client.get("/api/index").json()
    refused = look(client, BAD_PICTURES[kind], "bad.png")
    assert refused.status_code == 422
    assert "the picture cannot be read" in refused.json()["error"]
    assert "Traceback" not in refused.text
    assert client.get("/api/index").json() == before
    assert look(client, WHOLE, "next.png").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status", "sentence"),
    [
        ({"content-type": "text/plain"}, 415, "media type"),
        ({"content-type": "multipart/form-data; boundary=x"}, 415, "media type"),
        ({"content-type": ""}, 415, "media type"),
        ({"origin": "http://evil.example"}, 403, "evil.example"),
        ({"origin": "null"}, 403, "null"),
        ({"origin": "http://127.0.0.1:6008"}, 403, "6008"),
        ({"sec-fetch-site": "cross-site"}, 403, "another site"),
        ({"sec-fetch-site": "same-site"}, 403, "another site"),
        ({"host": "evil.example:6007"}, 421, "not called"),
        ({"content-length": str(MOST_BYTES + 1)}, 413, "32 MB"),
    ],
)
def test_strangers_and_large_files_are_turned_away(
    client: TestClient, headers: Mapping[str, str], status: int, sentence: str
) -> None:
    refused = client.post("/api/live/look", content=WHOLE, headers={**OURS, **headers})
    assert refused.status_code == status
    assert sentence in refused.json()["error"]
    assert "access-control-allow-origin" not in refused.headers
    assert client.get("/api/index").json()["live"]["pictures"] == []


def test_a_form_or_a_preflight_of_another_page_gets_nowhere(client: TestClient) -> None:
    no_header = client.post("/api/live/look", content=WHOLE, headers={"content-type": "image/png"})
    assert no_header.status_code == 403
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    preflight = client.options(
        "/api/live/look", headers={**asked, "access-control-request-headers": "x-convscope-live"}
    )
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]
    assert client.get("/api/live/look").status_code == 404
    look(client, WHOLE)
    for headers in ({"accept": "*/*"}, {**OURS, "origin": "http://evil.example"}):
        assert client.delete("/api/live/pictures", headers=headers).status_code == 403
    assert client.get("/api/index").json()["live"]["pictures"] == ["cat.png"]


def test_our_own_page_and_plain_clients_are_let_in(client: TestClient) -> None:
    assert look(client, WHOLE, origin=HOME, **{"sec-fetch-site": "same-origin"}).status_code == 200
    assert look(client, WHOLE).status_code == 200
    policy = client.get("/").headers["content-security-policy"]
    assert "script-src" not in policy
    assert "default-src 'self'" in policy


def test_a_body_without_a_length_is_cut_off(client: TestClient) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield bytes(1 << 20)

    refused = client.post("/api/live/look", content=endless(), headers=OURS)
    assert refused.status_code == 413
    assert client.post("/api/live/look", content=b"", headers=OURS).status_code == 400


def test_a_body_that_does_not_arrive_gives_its_place_up(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "_SECONDS", 0)

    async def never(_: object) -> AsyncIterator[bytes]:
        await asyncio.sleep(20)
        yield b""

    monkeypatch.setattr(upload.Request, "stream", never)
    refused = look(client, WHOLE)
    assert (refused.status_code, "did not arrive" in refused.json()["error"]) == (408, True)


def test_where_a_token_is_asked_for_it_is_asked_for_here_too(model: Model) -> None:
    client = TestClient(
        create_app(make_source(None, LiveModel(model)), hosts=frozenset({"*"}), token="secret"),
        base_url=HOME,
    )
    assert look(client, WHOLE).status_code == 401
    assert look(client, WHOLE, authorization="Bearer secret").status_code == 200


class Slow:
    """A network that looks until it is told to stop."""

    name = "slow"

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.end = threading.Event()
        self.at_once = 0
        self.most_at_once = 0

    def describe(self) -> Mapping[str, Any]:
        return {"input_shape": [3, 4, 4], "layer": "a"}

    def about(self) -> Sequence[Promise]:
        return []

    def look(self, picture: bytes, name: str) -> Looked:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.release()
        self.end.wait(60)
        self.at_once -= 1
        if picture == b"bad":
            raise FormatError("the picture cannot be read (bad); give another one")
        return Looked("a", {})

    def forget(self, name: str) -> None:
        pass


def test_one_look_at_a_time_some_wait_the_rest_comes_again_and_the_page_answers_meanwhile() -> None:
    slow = Slow()
    statuses: list[int] = []

    def post(url: str) -> None:
        request = urllib.request.Request(f"{url}api/live/look", b"x", OURS, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                statuses.append(answer.status)
        except urllib.error.HTTPError as error:
            statuses.append(error.code)
            error.close()

    with serve(port=0, live=slow) as server:
        threads = [threading.Thread(target=post, args=(server.url,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        assert slow.begun.acquire(timeout=60)
        end = time.monotonic() + 20
        while len(statuses) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert statuses == [429, 429]
        with urllib.request.urlopen(f"{server.url}api/index", timeout=60) as answer:
            assert answer.status == 200
        slow.end.set()
        for thread in threads:
            thread.join(60)
    assert sorted(statuses) == [200] * 4 + [429] * 2
    assert slow.most_at_once == 1


# how it is started


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[RunningServer]:
    """The servers that are started; they do not wait for Ctrl-C."""
    servers: list[RunningServer] = []
    monkeypatch.setattr(RunningServer, "wait", lambda server: servers.append(server))  # noqa: PLW0108 - a method binds
    return servers


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["convscope", "view", "--no-open", "--port", "0", *map(str, arguments)])
    try:
        main()
    except SystemExit as leave:
        return int(leave.code or 0)
    return 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "nothing to show"),
        (("--weights", "random"), "name it with --model"),
        (("--model", "alexnetty"), "did you mean 'alexnet'"),
        (("--model", "mnist", "--weights", "no.npz"), "no.npz"),
        (("--model", "mnist", "--weights", "random", "--device", "cuda:77"), "cuda:77"),
        (("--model", "mnist", "--weights", "random", "--input-shape", "1,28"), "three whole numbers"),
        (("--model", "mnist", "--weights", "random", "--labels", "no.txt"), "no.txt"),
        (("README.md", "--model", "mnist", "--weights", "random"), "no directory 'README.md'"),
    ],
)
def test_wrong_words_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    started: list[RunningServer],
    arguments: Sequence[str],
    sentence: str,
) -> None:
    assert command(monkeypatch, *arguments) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.strip().splitlines()) == 1
    assert not started


def test_the_command_line_attaches_a_network_with_and_without_runs(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    started: list[RunningServer],
    logdir: Path,
    tmp_path: Path,
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"digit {n}" for n in range(10)))
    options = ("--model", "mnist", "--weights", "random", "--labels", labels)
    assert command(monkeypatch, *options) == 0
    assert command(monkeypatch, logdir, *options) == 0
    assert len(started) == 2
    assert "mnist looks at every picture" in capsys.readouterr().out


def test_show_takes_a_model(model: Model, logdir: Path) -> None:
    with cs.show(logdir, model=model, classes=list("abcdefg"), port=0, open_browser=False) as server:
        request = urllib.request.Request(f"{server.url}api/live/look?name=a.png", WHOLE, OURS, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200
    with pytest.raises(InputError, match="nothing to show"):
        cs.show(open_browser=False)
    assert [run.name for run in Logdir(logdir).runs()] == ["trained"]
    assert Run(logdir / "trained").tags() == {"scalar": ["loss"]}


def test_alexnet_looks_at_pictures() -> None:
    client = client_of(LiveModel(Model("alexnet", weights="random")))
    data = encoded(pixels(600, 800), "JPEG")
    answers = [look(client, data, f"{n}.jpg") for n in range(3)]
    assert all(answer.status_code == 200 for answer in answers)
    assert {one["tag"] for one in answers[0].json()["tags"]} >= {maps_tag("features.0", "0.jpg")}
