"""Callbacks for Lightning and Keras: the real packages where they are installed, else stand-ins that call alike.

The stand-ins make the calls that Lightning 2.6 and Keras 3.15 have been seen to make, in their order.
"""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import optimizer as optimizers

import convscope as cs
from convscope.errors import InputError, MissingExtraError
from convscope.recording import callbacks


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    for name in ("LightningCallback", "KerasCallback"):
        vars(callbacks).pop(name, None)


class Callback:
    """What both frameworks' classes are to a subclass: methods that do nothing."""

    def __init__(self) -> None:
        self.made = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *_, **__: None
        raise AttributeError(name)


class Module(nn.Module):
    def __init__(self, fail_at: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
        self.loss = nn.MSELoss()
        self.fail_at = fail_at

    def step(self, x: Tensor) -> Tensor:
        y = self.net(x)
        loss: Tensor = self.loss(y, torch.zeros_like(y))
        return loss


class StandInTrainer:
    """As Lightning's Trainer: forward and backward are in a closure, the sanity check comes before the training."""

    def __init__(self, callback: Any, *, rank: int = 0) -> None:
        self.callback, self.is_global_zero = callback, rank == 0
        self.global_step, self.log_every_n_steps = 0, 2
        self.callback_metrics: dict[str, Tensor] = {}

    def fit(self, module: Module) -> None:
        optimizer = torch.optim.Adam(module.parameters())
        self._validate(module)
        self.callback_metrics.clear()  # the check before the training leaves nothing behind
        self.callback.on_train_start(self, module)
        try:
            for _ in range(2):
                for batch in range(4):
                    if self.global_step == module.fail_at:
                        raise ZeroDivisionError
                    self._step(module, optimizer)
                    self.callback.on_train_batch_end(self, module, None, None, batch)
                self._validate(module)
                self.callback.on_train_epoch_end(self, module)
        except BaseException as error:
            self.callback.on_exception(self, module, error)
            raise
        self.callback.on_train_end(self, module)

    def _step(self, module: Module, optimizer: torch.optim.Optimizer) -> None:
        def closure() -> Tensor:
            loss = module.step(torch.randn(5, 3, 6, 6))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            self.callback_metrics["train_loss"] = loss.detach()
            return loss

        optimizer.step(closure=closure)
        self.global_step += 1

    def _validate(self, module: Module) -> None:
        module.eval()
        self.callback_metrics["val_loss"] = module.step(torch.randn(5, 3, 6, 6)).detach()
        module.train()
        self.callback.on_validation_end(self, module)


@pytest.fixture
def lightning(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The callback's class over a stand-in for Lightning."""
    package = ModuleType("lightning.pytorch")
    package.Callback = Callback  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lightning.pytorch", package)
    return callbacks.LightningCallback


def test_lightning(lightning: Any, tmp_path: Path) -> None:
    callback = lightning(tmp_path, every=3)
    assert isinstance(callback, Callback)
    assert callback.made
    module = Module()
    StandInTrainer(callback).fit(module)
    run = cs.Run(tmp_path)
    assert list(run.scalars("gradient_norm/total").step) == [0, 3, 6]
    assert [h.num for h in run.histograms("activations/net.0")] == [320] * 3
    assert "activations/loss" not in run.tags()["histogram"], "a loss is a curve, no histogram"
    assert list(run.scalars("train_loss").step) == [2, 4, 6, 8]
    assert list(run.scalars("val_loss").step) == [4, 8], "not from the sanity check"
    assert not optimizers._global_optimizer_pre_hooks
    assert not any(part._forward_hooks for part in module.modules())


def test_lightning_after_an_exception(lightning: Any, tmp_path: Path) -> None:
    with cs.SummaryWriter(tmp_path) as writer:
        module = Module(fail_at=3)
        with pytest.raises(ZeroDivisionError):
            StandInTrainer(lightning(writer, every=3)).fit(module)
        assert not optimizers._global_optimizer_pre_hooks
        assert not any(part._forward_hooks for part in module.modules())
        writer.add_scalar("after", 1.0, 0)  # a writer that was given stays open


def test_lightning_on_another_rank(lightning: Any, tmp_path: Path) -> None:
    StandInTrainer(lightning(tmp_path / "run"), rank=1).fit(Module())
    assert not (tmp_path / "run").exists()


def test_lightning_pickles_the_callback(lightning: Any) -> None:
    assert isinstance(pickle.loads(pickle.dumps(lightning("runs/x", every=3))), lightning)


class Variable:
    def __init__(self, path: str, value: Any) -> None:
        self.path, self.value = path, torch.as_tensor(value)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)


def test_keras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = ModuleType("keras")
    package.callbacks = SimpleNamespace(Callback=Callback)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keras", package)
    kernel = Variable("net/conv/kernel", np.random.default_rng(0).normal(size=(3, 3, 1, 8)).astype(np.float32))
    dense = SimpleNamespace(name="dense", kernel=Variable("net/dense/kernel", np.ones((2, 2))))
    conv = SimpleNamespace(name="conv", kernel=kernel)
    callback = callbacks.KerasCallback(tmp_path, every=2)
    callback.model = SimpleNamespace(
        trainable_variables=[kernel],
        layers=[SimpleNamespace(name="input"), dense, conv],
        optimizer=SimpleNamespace(iterations=SimpleNamespace(value=torch.tensor(10))),
    )
    callback.on_train_begin()
    for epoch in range(2):
        for batch in range(3):
            callback.on_train_batch_end(batch, {"loss": 1 / (batch + 1)})
        callback.on_epoch_end(epoch, {"loss": 0.5, "val_loss": 0.25})
    callback.on_train_end()
    run = cs.Run(tmp_path)
    assert list(run.scalars("batch/loss").step) == [10, 12, 14]
    assert list(run.scalars("epoch/val_loss").step) == [13, 16]
    assert [h.num for h in run.histograms("weights/net/conv/kernel")] == [72] * 3
    picture = run.images("filters/conv")[0]
    assert (picture.height, picture.width) == (3 * 4 * 21, 3 * 4 * 21), "8 filters of 3 × 3 in a square"


@pytest.mark.skipif(importlib.util.find_spec("lightning") is None, reason="Lightning is not installed")
def test_the_real_lightning(tmp_path: Path) -> None:  # pragma: no cover - where it is installed
    pl = importlib.import_module("lightning.pytorch")

    class Real(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Module()

        def training_step(self, batch: Any, index: int) -> Tensor:
            loss = self.inner.step(batch[0])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters())

    data = torch.utils.data.TensorDataset(torch.randn(40, 3, 6, 6))
    trainer = pl.Trainer(
        callbacks=[callbacks.LightningCallback(tmp_path, every=3)], max_epochs=1, logger=False, log_every_n_steps=2,
        enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(Real(), torch.utils.data.DataLoader(data, batch_size=5))
    run = cs.Run(tmp_path)
    assert list(run.scalars("gradient_norm/total").step) == [0, 3, 6]
    assert list(run.scalars("train_loss").step) == [2, 4, 6, 8]


def test_bad_input(lightning: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="a SummaryWriter or a directory, got int"):
        lightning(3)
    with pytest.raises(AttributeError, match="no attribute 'TorchCallback'"):
        _ = callbacks.TorchCallback
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with pytest.raises(MissingExtraError, match="made from keras, which is not imported; import it before"):
        _ = callbacks.KerasCallback
    package = ModuleType("keras")
    package.callbacks = SimpleNamespace(Callback=Callback)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keras", package)
    with pytest.raises(InputError, match="1 or more, got 0"):
        callbacks.KerasCallback("runs/x", every=0)
