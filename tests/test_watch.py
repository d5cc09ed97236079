"""watch: what it logs against plain computations, what it leaves alone, and the ways people train."""

from __future__ import annotations

import copy
import doctest
import gc
import io
import pickle
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import optimizer as optimizers
from torch.utils.checkpoint import checkpoint

import convscope as cs
from conftest import ROOT
from convscope.errors import InputError, NotFoundError
from convscope.formats.histogram import count
from convscope.inspect.filters import filters_picture
from convscope.nets.alarm import Alarm
from convscope.nets.histogram import BitCounts, DeviceCounts, count_bits, count_on_device
from convscope.nets.rounds import Rounds
from tensorboard_oracle import accumulate


def net_of(*, channels: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 2)
    )


def batches(count: int, channels: int = 3) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        yield torch.randn(5, channels, 6, 6, generator=generator)


def train(net: nn.Module, steps: int, optimizer: torch.optim.Optimizer | None = None, channels: int = 3) -> None:
    optimizer = optimizer or torch.optim.SGD(net.parameters(), 0.1)
    for x in batches(steps, channels):
        optimizer.zero_grad()
        torch.autograd.backward(net(x).square().mean())
        optimizer.step()


def attached(*nets: nn.Module) -> int:
    """Count every hook there may be: of modules, of tensors, of optimisers."""
    counted = len(optimizers._global_optimizer_pre_hooks) + len(optimizers._global_optimizer_post_hooks)
    for net in nets:
        for module in net.modules():
            dictionaries = [value for name, value in vars(module).items() if name.endswith("_hooks")]
            counted += sum(map(len, dictionaries))
        for parameter in net.parameters():
            counted += len(parameter._backward_hooks or ()) + len(
                getattr(parameter, "_post_accumulate_grad_hooks", None) or ()
            )
    return counted


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[cs.SummaryWriter]:
    with cs.SummaryWriter(tmp_path) as opened:
        yield opened


def run_of(writer: cs.SummaryWriter) -> cs.Run:
    writer.flush()
    return cs.Run(writer.get_logdir())


def same(histogram: Any, values: Tensor) -> None:
    """Hold a histogram from a run against the one of a plain array."""
    truth = count(values.detach().float().numpy().reshape(-1))
    np.testing.assert_array_equal(histogram.counts, truth.counts)
    np.testing.assert_allclose(histogram.limits, truth.limits)
    assert (histogram.min, histogram.max, histogram.apart) == (truth.min, truth.max, truth.apart)
    np.testing.assert_allclose(
        [histogram.sum, histogram.sum_squares], [truth.sum, truth.sum_squares], rtol=1e-5, atol=1e-5
    )


def test_what_is_logged_is_what_a_plain_loop_computes(writer: cs.SummaryWriter) -> None:
    net, twin = net_of(), net_of()
    with cs.watch(net, writer, every=2):
        train(net, 3)
    run = run_of(writer)
    rate = torch.optim.SGD(twin.parameters(), 0.1)
    for step, x in enumerate(batches(3)):
        rate.zero_grad()
        outputs = {}
        y = x
        for name, module in twin.named_children():
            y = module(y)
            outputs[name] = y.detach().clone()
        torch.autograd.backward(y.square().mean())
        before = {name: parameter.detach().clone() for name, parameter in twin.named_parameters()}
        rate.step()
        if step == 1:
            continue
        index = step // 2
        for name in ("0", "1", "2", "4"):
            same(run.histograms(f"activations/{name}")[index], outputs[name])
        norms = []
        for name, parameter in twin.named_parameters():
            assert parameter.grad is not None
            same(run.histograms(f"weights/{name}")[index], before[name])
            same(run.histograms(f"gradients/{name}")[index], parameter.grad)
            norms.append(parameter.grad.double().norm())
            if step == 0:
                assert (0 in run.scalars(f"update_ratio/{name}").step) == bool(before[name].any())
            if before[name].any():
                ratio = (parameter.detach() - before[name]).norm() / before[name].norm()
                found = run.scalars(f"update_ratio/{name}")
                np.testing.assert_allclose(found.value[found.step == step], [ratio], rtol=1e-4)
        total = run.scalars("gradient_norm/total")
        np.testing.assert_allclose(total.value[index], torch.stack(norms).norm(), rtol=1e-5)
        layer = torch.stack(norms[:2]).norm()
        np.testing.assert_allclose(run.scalars("gradient_norm/0").value[index], layer, rtol=1e-5)
        assert list(total.step) == [0, 2]
    assert not any("activations/3" in tags for tags in run.tags().values()), "Flatten changes nothing"
    assert list(run.scalars("alarm/nonfinite").value) == [0, 0]


def test_tensorboard_reads_it(writer: cs.SummaryWriter, tmp_path: Path) -> None:
    net = net_of()
    with cs.watch(net, writer, every=1):
        train(net, 2)
    writer.flush()
    read = accumulate(tmp_path)
    assert [event.step for event in read.Histograms("activations/2")] == [0, 1]
    assert read.Histograms("weights/0.weight")[0].histogram_value.num == 108
    assert [event.step for event in read.Scalars("gradient_norm/total")] == [0, 1]
    assert read.Images("filters/0")[0].encoded_image_string.startswith(b"\x89PNG")


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam])
def test_training_is_bit_for_bit_the_same(make: Callable[..., Any], writer: cs.SummaryWriter) -> None:
    nets = [nn.Sequential(*net_of(), nn.Dropout(0.5)) for _ in range(2)]
    torch.manual_seed(3)
    train(nets[0], 5, make(nets[0].parameters(), 0.01))
    state = torch.get_rng_state()
    torch.manual_seed(3)
    with cs.watch(nets[1], writer, every=1):
        train(nets[1], 5, make(nets[1].parameters(), 0.01))
    assert torch.equal(state, torch.get_rng_state())
    for ours, theirs in zip(nets[0].state_dict().values(), nets[1].state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_hooks_are_there_only_before_a_step_that_is_logged_and_never_after(writer: cs.SummaryWriter) -> None:
    net = net_of()
    before = attached(net)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with cs.watch(net, writer, every=3) as watch:
        seen = []
        for _ in range(4):
            seen.append(attached(net))
            train(net, 1, optimizer)
        assert [count - before for count in seen] == [6, 2, 2, 6], "4 layers; 2 of the optimisers"
        assert not watch.closed
    assert watch.closed
    assert attached(net) == before
    watch.close()
    with pytest.raises(ZeroDivisionError), cs.watch(net, writer):
        _ = 1 / 0
    assert attached(net) == before
    plain = cs.watch(net, writer, every=1)
    train(net, 1, optimizer)
    assert attached(net) > before
    plain.close()
    assert attached(net) == before


def test_an_exception_in_the_step_leaves_it_usable(writer: cs.SummaryWriter) -> None:
    net = net_of()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    other = torch.optim.SGD([{"params": net[0].parameters()}], 0.1)

    def broken() -> float:
        raise ZeroDivisionError

    with cs.watch(net, writer, every=1) as watch:
        with pytest.raises(ZeroDivisionError):
            optimizer.step(broken)
        train(net, 1, optimizer)
        assert "1 steps" in repr(watch)
        train(net, 1, other)
    assert list(run_of(writer).scalars("gradient_norm/total").step) == [0]


def test_steps_are_counted_not_backward_passes(writer: cs.SummaryWriter) -> None:
    net = net_of()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    xs = list(batches(6))
    with cs.watch(net, writer, every=2):
        for index, x in enumerate(xs):
            torch.autograd.backward(net(x).square().mean() / 2)
            if index % 2:
                kept = net[0].weight.grad
                optimizer.step()
                optimizer.zero_grad()
    run = run_of(writer)
    assert list(run.scalars("gradient_norm/total").step) == [0, 2]
    same(run.histograms("gradients/0.weight")[1], kept)
    assert run.histograms("activations/0")[0].num == 2 * 5 * 4 * 16, "both passes of the step"


def test_a_closure_is_evaluated_before_its_gradients_are_read(writer: cs.SummaryWriter) -> None:
    net = net_of()
    del net[1]
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=3)
    (x,) = batches(1)
    calls = 0

    def closure() -> Tensor:
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        loss = net(x).square().mean()
        torch.autograd.backward(loss)
        return loss

    with cs.watch(net, writer, every=1):
        optimizer.step(closure)
        last = net[0].weight.grad
        first_calls = calls
        optimizer.step(closure=closure)
    run = run_of(writer)
    assert list(run.scalars("gradient_norm/total").step) == [0, 1]
    same(run.histograms("gradients/0.weight")[0], last)
    assert run.histograms("activations/0")[0].num == first_calls * 5 * 4 * 16


class Fused(torch.optim.Optimizer):
    """An optimiser that a gradient scaler leaves the division to, as the fused ones."""

    _step_supports_amp_scaling = True

    def __init__(self, parameters: Any, rate: float) -> None:
        super().__init__(parameters, {"rate": rate})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if not float(self.found_inf):
                    parameter.sub_(group["rate"] * parameter.grad / self.grad_scale)


@pytest.mark.parametrize("make", [torch.optim.SGD, Fused])
def test_a_gradient_scaler_is_seen_through(make: Callable[..., Any], writer: cs.SummaryWriter) -> None:
    net, twin = net_of(), net_of()
    optimizer = make(net.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with cs.watch(net, writer, every=2):
            for step, x in enumerate([*batches(3)]):
                optimizer.zero_grad()
                loss = net(x).square().mean() * (float("inf") if step == 0 else 1)
                torch.autograd.backward(scaler.scale(loss))
                scaler.step(optimizer)
                scaler.update()
    assert torch.isfinite(net[0].weight).all()
    run = run_of(writer)
    assert list(run.scalars("gradient_norm/total").step) == [0], "the step that was skipped is none"
    x = list(batches(3))[1]
    twin[1].load_state_dict(twin[1].state_dict())
    torch.autograd.backward(twin(x).square().mean())
    assert twin[4].weight.grad is not None
    np.testing.assert_allclose(
        run.histograms("gradients/4.weight")[0].sum_squares, twin[4].weight.grad.square().sum(), rtol=1e-4
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype: torch.dtype, writer: cs.SummaryWriter) -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1)).to(dtype)
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    with cs.watch(net, writer, every=1):
        torch.autograd.backward(net(torch.ones(2, 4, dtype=dtype)).sum())
        net[0].weight.grad.fill_(6e4)  # the norm is beyond float16, its parts are not
        optimizer.step()
    run = run_of(writer)
    same(run.histograms("weights/0.weight")[0], net[0].weight)
    same(run.histograms("gradients/0.weight")[0], net[0].weight.grad)
    assert list(run.scalars("alarm/nonfinite").value) == [0]
    assert np.isfinite(run.scalars("gradient_norm/0").value).all()


def test_autocast(writer: cs.SummaryWriter) -> None:
    net = net_of()
    with cs.watch(net, writer, every=1), torch.autocast("cpu", torch.bfloat16):
        train(net, 1)
    assert run_of(writer).histograms("activations/0")[0].num == 5 * 4 * 16


def test_two_optimisers_share_one_axis(writer: cs.SummaryWriter) -> None:
    torch.manual_seed(0)
    gan = nn.ModuleDict({"G": nn.Linear(2, 3), "D": nn.Linear(3, 1)})
    of = {name: torch.optim.SGD(gan[name].parameters(), 0.1) for name in "GD"}
    with cs.watch(gan, writer, every=4):
        for step in range(9):
            for name in "DG":
                if name == "G" and step % 3 != 2:
                    continue
                of[name].zero_grad()
                torch.autograd.backward(gan["D"](gan["G"](torch.randn(4, 2))).mean())
                of[name].step()
    run = run_of(writer)
    assert [h.step for h in run.histograms("weights/D.weight")] == [0, 4, 8]
    assert [h.step for h in run.histograms("weights/G.weight")] == [2, 5, 8]
    assert [h.step for h in run.histograms("activations/G")] == [0, 4, 5, 8], "at 2 the optimiser is not known yet"
    assert list(run.scalars("gradient_norm/total").step) == [0, 4, 8]
    assert list(run.scalars("gradient_norm/total_2").step) == [2, 5, 8]


def test_a_second_phase_goes_on_where_the_first_has_ended() -> None:
    rounds = Rounds(every=10)

    class Named:
        pass

    first, second = Named(), Named()
    taken = []
    for optimizer, steps in ((first, 25), (second, 25)):
        for _ in range(steps):
            course = rounds.course(optimizer, [str(optimizer is second)])
            due = rounds.due(course)
            if due:
                taken.append((optimizer is second, rounds.next(course)))
            rounds.took(course, logged=due)
    assert taken == [(False, 0), (False, 10), (False, 20), (True, 24), (True, 30), (True, 40)]
    assert not rounds.any_due()
    for _ in range(7):
        rounds.took(rounds.course(second, ["True"]), logged=False)
    assert rounds.any_due()
    del first
    gc.collect()
    rounds.took(rounds.course(second, ["True"]), logged=True)
    assert not rounds.any_due(), "an optimiser that is gone keeps nothing open"


def test_an_optimiser_inside_another_is_not_counted_twice(writer: cs.SummaryWriter) -> None:
    class Outer(torch.optim.Optimizer):
        def __init__(self, parameters: Any) -> None:
            super().__init__(parameters, {})
            self.inner = torch.optim.SGD(self.param_groups[0]["params"], 0.1)

        def step(self, closure: Any = None) -> None:
            self.inner.step()

    net = net_of()
    with cs.watch(net, writer, every=1):
        train(net, 2, Outer(net.parameters()))
    assert list(run_of(writer).scalars("gradient_norm/total").step) == [0, 1]


def test_parameters_that_come_later(writer: cs.SummaryWriter) -> None:
    net = net_of()
    optimizer = torch.optim.SGD(net[4].parameters(), 0.1)
    stranger = torch.optim.SGD(net_of().parameters(), 0.1)
    with cs.watch(net, writer, every=1):
        train(net, 1, optimizer)
        stranger.step()
        optimizer.add_param_group({"params": net[0].parameters()})
        train(net, 1, optimizer)
        net[4] = nn.Linear(64, 3)
        optimizer.add_param_group({"params": net[4].parameters()})
        train(net, 1, optimizer)
    run = run_of(writer)
    assert [h.step for h in run.histograms("gradients/0.weight")] == [1, 2]
    assert [h.step for h in run.histograms("gradients/4.weight")] == [0, 1, 2]
    assert run.histograms("weights/4.weight")[2].num == 192


def test_what_an_optimiser_holds_is_looked_up_again(writer: cs.SummaryWriter) -> None:
    net = net_of()
    optimizer = torch.optim.SGD(net_of().parameters(), 0.1)
    with cs.watch(net, writer, every=2) as watch:
        train(net, 1, optimizer)
        assert "0 steps" in repr(watch)
        optimizer.add_param_group({"params": net[4].parameters()})
        train(net, 2, optimizer)
        net[4] = nn.Linear(64, 2)
        optimizer.param_groups[-1]["params"] = list(net[4].parameters())
        before = net[4].weight.detach().clone()
        train(net, 1, optimizer)
    run = run_of(writer)
    assert [h.step for h in run.histograms("weights/4.weight")] == [0, 2]
    same(run.histograms("weights/4.weight")[1], before)


def test_frozen_shared_lazy_and_complex_parameters(writer: cs.SummaryWriter) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.LazyLinear(4)
            self.second = nn.Linear(4, 4)
            self.third = nn.Linear(4, 4)
            self.third.weight = self.second.weight
            self.frozen = nn.Linear(4, 4).requires_grad_(requires_grad=False)
            self.phase = nn.Parameter(torch.ones(4, dtype=torch.complex64))
            self.count = nn.Parameter(torch.ones(3, dtype=torch.int32), requires_grad=False)
            self.unused = nn.Parameter(torch.ones(3))
            self.empty = nn.Parameter(torch.ones(0))

        def forward(self, x: Tensor) -> Tensor:
            return (self.frozen(self.third(self.second(self.first(x)))) * self.phase).abs() + self.empty.sum()

    net = Net()
    with cs.watch(net, writer, every=1):
        net(torch.ones(2, 7))
        optimizer = torch.optim.SGD([p for p in net.parameters() if p.dtype.is_floating_point or p.is_complex()], 0.1)
        torch.autograd.backward(net(torch.ones(2, 7)).sum())
        optimizer.step()
    histograms = set(run_of(writer).tags()["histogram"])
    assert {"weights/first.weight", "weights/second.weight", "weights/frozen.weight", "weights/phase"} <= histograms
    assert {"gradients/phase", "gradients/second.weight", "activations/frozen"} <= histograms
    assert not {"weights/third.weight", "weights/count", "weights/empty", "gradients/frozen.weight"} & histograms
    run = run_of(writer)
    assert run.histograms("weights/phase")[0].num == 8
    assert "update_ratio/frozen.weight" not in run.tags()["scalar"], "nothing updates it"
    assert "gradients/unused" not in histograms


def test_sparse_gradients(writer: cs.SummaryWriter) -> None:
    net = nn.Sequential(nn.Embedding(10, 3, sparse=True), nn.Flatten(), nn.Linear(6, 1))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with cs.watch(net, writer, every=1):
        torch.autograd.backward(net(torch.tensor([[1, 1], [1, 2]])).sum())
        optimizer.step()
    run = run_of(writer)
    assert run.histograms("gradients/0.weight")[0].num == 6, "the two rows that were used"
    dense = net[0].weight.grad.to_dense()
    np.testing.assert_allclose(run.scalars("gradient_norm/0").value, dense.norm(), rtol=1e-6)


def test_the_alarm_names_what_is_not_finite_and_warns_once(writer: cs.SummaryWriter) -> None:
    class Log(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.log()

    net = net_of()
    net.append(Log())
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    sentence = r"step 0: the gradient of 0.weight is not finite \(108 NaN, 0 infinite of 108\), nor those of"
    with cs.watch(net, writer, every=1):
        with pytest.warns(RuntimeWarning, match=sentence):
            train(net, 1, optimizer)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            train(net, 1, optimizer)
    run = run_of(writer)
    (text,) = run.texts("alarm")
    assert text.text.endswith("5 more of 6 parameters up to 4.bias; the first layer whose outputs are not: 5")
    assert list(run.scalars("alarm/nonfinite").value) == [6, 6]
    assert run.histograms("gradients/0.weight")[0].nan == 108


def test_the_alarm_rings_between_logged_steps_too_unless_it_is_off(writer: cs.SummaryWriter) -> None:
    net = net_of()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with cs.watch(net, writer, every=50):
        train(net, 3, optimizer)
        with torch.no_grad():
            net[4].bias[1] = float("inf")
        with pytest.warns(
            RuntimeWarning, match=r"step 3: the weight of 4.bias is not finite \(0 NaN, 1 infinite of 2\)$"
        ):
            train(net, 1, optimizer)
    assert list(run_of(writer).scalars("alarm/nonfinite").step) == [0, 3]
    with cs.watch(net, writer, every=50, alarm=False), warnings.catch_warnings():
        warnings.simplefilter("error")
        train(net, 2, optimizer)


def test_what_a_scaler_has_found_is_no_cause_for_alarm(writer: cs.SummaryWriter) -> None:
    parameters = {"weight": nn.Parameter(torch.ones(2))}
    parameters["weight"].grad = torch.tensor([1.0, float("inf")])
    alarm = Alarm(writer, None)
    alarm.check(parameters, torch.tensor(1.0), 3, due=False)
    assert not any(run_of(writer).tags().values())
    with pytest.warns(RuntimeWarning, match="0 NaN, 1 infinite of 2"):
        alarm.check(parameters, torch.tensor(0.0), 4, due=False)


def test_only_what_is_asked_for(writer: cs.SummaryWriter) -> None:
    net = net_of()
    options: dict[str, Any] = {
        "weights": False,
        "gradients": False,
        "activations": False,
        "filters": False,
        "alarm": False,
    }
    with cs.watch(net, writer, **options):
        train(net, 1)
    assert not any(run_of(writer).tags().values())
    for name, start in {"weights": "weights/", "gradients": "gradient", "activations": "activations/"}.items():
        with cs.watch(net, writer, **{**options, name: True}):
            train(net, 1)
        tags = run_of(writer).tags()["histogram"]
        assert any(tag.startswith(start) for tag in tags)
    assert "image" not in run_of(writer).tags() or not run_of(writer).tags()["image"]


@pytest.mark.parametrize("layers", ["block\\..*", ["block"], "block", ("block.0", "block.1")])
def test_chosen_layers(layers: Any, writer: cs.SummaryWriter) -> None:
    net = nn.Sequential()
    net.add_module("block", nn.Sequential(nn.Linear(3, 3), nn.ReLU()))
    net.add_module("block2", nn.Linear(3, 1))
    with cs.watch(net, writer, layers=layers):
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        torch.autograd.backward(net(torch.ones(2, 3)).sum())
        optimizer.step()
    run = run_of(writer)
    found = {tag for tag in run.tags()["histogram"] if tag.startswith("activations/")}
    assert found == {"activations/block.0", "activations/block.1"}
    assert "weights/block.0.weight" in run.tags()["histogram"]
    assert "weights/block2.weight" not in run.tags()["histogram"]
    assert run.scalars("gradient_norm/total").value > run.scalars("gradient_norm/block.0").value


@pytest.mark.parametrize("reentrant", [False, True])
def test_validation_is_not_recorded_nor_is_what_checkpointing_computes_again(
    reentrant: bool, writer: cs.SummaryWriter
) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(checkpoint(self.a, x, use_reentrant=reentrant))

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with cs.watch(net, writer, every=1):
        net.eval()
        net(torch.ones(100, 3, requires_grad=True))
        net.train()
        torch.autograd.backward(net(torch.ones(2, 3, requires_grad=True)).sum())
        optimizer.step()
    run = run_of(writer)
    assert [run.histograms(f"activations/{name}")[0].num for name in "ab"] == [6, 2]


def test_outputs_that_are_not_tensors(writer: cs.SummaryWriter) -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Any]:
            return {"index": x.argmax(), "rest": (None, [x * 2, x])}

    net = nn.ModuleDict({"rnn": nn.LSTM(3, 4), "odd": Odd()})
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with cs.watch(net, writer):
        out = net["odd"](net["rnn"](torch.ones(2, 1, 3))[0])["rest"][1][0]
        torch.autograd.backward(out.sum())
        optimizer.step()
    run = run_of(writer)
    assert [run.histograms(f"activations/{name}")[0].num for name in ("rnn", "odd")] == [8, 8]
    assert run.histograms("activations/odd")[0].max == 2 * run.histograms("activations/rnn")[0].max


def test_transformed_functions_pass_by(writer: cs.SummaryWriter) -> None:
    net = nn.Linear(3, 1)
    weights = dict(net.named_parameters())
    with cs.watch(net, writer):
        each = torch.func.vmap(torch.func.grad(lambda w, x: torch.func.functional_call(net, w, (x,)).sum()), (None, 0))
        assert each(weights, torch.ones(4, 3))["weight"].shape == (4, 1, 3)
        torch.autograd.backward(net(torch.ones(2, 3)).sum())
        torch.optim.SGD(net.parameters(), 0.1).step()
    assert run_of(writer).histograms("activations/Linear")[0].num == 2


def test_steps_may_be_given(writer: cs.SummaryWriter) -> None:
    net = net_of()
    steps = iter(range(70, 100))
    with cs.watch(net, writer, every=2, step=lambda: next(steps)):
        train(net, 3)
    assert list(run_of(writer).scalars("gradient_norm/total").step) == [70, 72]
    with pytest.raises(InputError, match="whole number, got 'later'"), cs.watch(net, writer, step=lambda: "later"):
        train(net, 1)


def test_a_copy_or_a_pickle_made_meanwhile_has_no_part_in_it(writer: cs.SummaryWriter) -> None:
    net = net_of()
    with cs.watch(net, writer, every=1):
        twin = copy.deepcopy(net)
        buffer = io.BytesIO()
        torch.save(net, buffer)
        assert "convscope" not in repr(pickle.loads(pickle.dumps(net))[0]._forward_hooks)
        buffer.seek(0)
        loaded = torch.load(buffer, weights_only=False)
        for other in (twin, loaded):
            other(torch.ones(9, 3, 6, 6))
        train(net, 1)
    assert run_of(writer).histograms("activations/0")[0].num == 5 * 4 * 16


def test_computed_weights_are_not_disturbed(writer: cs.SummaryWriter) -> None:
    nets = []
    for watched in (False, True):
        torch.manual_seed(0)
        net = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)), nn.Flatten(), nn.Linear(64, 1))
        if watched:
            with cs.watch(net, writer, every=1):
                train(net, 2)
        else:
            train(net, 2)
        nets.append(net)
    for ours, theirs in zip(nets[0].state_dict().values(), nets[1].state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    tags = run_of(writer).tags()
    assert "activations/0" in tags["histogram"]
    assert "weights/0.parametrizations.weight.original" in tags["histogram"]
    assert not tags.get("image")


def test_a_network_that_is_one_layer_goes_by_its_class(writer: cs.SummaryWriter) -> None:
    net = nn.Conv2d(1, 2, 3)
    with cs.watch(net, writer):
        train(net, 1, channels=1)
    tags = run_of(writer).tags()
    assert {"activations/Conv2d", "weights/weight"} <= set(tags["histogram"])
    assert {"gradient_norm/Conv2d", "gradient_norm/total"} <= set(tags["scalar"])
    assert tags["image"] == ["filters/Conv2d"]


def test_data_parallel(writer: cs.SummaryWriter) -> None:
    net = net_of()
    with cs.watch(nn.DataParallel(net), writer):
        train(nn.DataParallel(net), 1)
    assert {"weights/0.weight", "activations/0"} <= set(run_of(writer).tags()["histogram"])


def compiled(net: nn.Module, counted: list[int]) -> Any:
    def backend(graph: Any, inputs: Any) -> Any:
        counted.append(1)
        return graph.forward

    torch._dynamo.reset()
    return torch.compile(net, backend=backend)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_networks(writer: cs.SummaryWriter) -> None:
    graphs: list[list[int]] = [[], [], []]
    plain = compiled(net_of(), graphs[0])
    train(plain, 4)

    net = compiled(net_of(), graphs[1])
    with pytest.raises(InputError, match="Sequential run compiled"):
        cs.watch(net, writer, activations=True)
    with cs.watch(net, writer, every=2):
        train(net, 4)
    run = run_of(writer)
    assert [h.step for h in run.histograms("gradients/0.weight")] == [0, 2]
    assert not any(tag.startswith("activations") for tag in run.tags()["histogram"])

    inner = net_of()
    outer = compiled(inner, graphs[2])
    with cs.watch(inner, writer, every=2):
        train(outer, 4)
    assert not any(tag.startswith("activations") for tag in run_of(writer).tags()["histogram"])
    assert len(graphs[0]) == len(graphs[1]) == len(graphs[2]) > 0, "nothing is compiled anew"
    for one, other in zip(plain.parameters(), outer.parameters(), strict=True):
        assert torch.equal(one, other)

    in_place = net_of()
    in_place.compile(backend="eager")
    with pytest.raises(InputError, match="run compiled"):
        cs.watch(in_place, writer, activations=True)
    torch._dynamo.reset()


WORKER = """
import os, pathlib, sys, time, torch, convscope as cs
from torch import nn
torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=int(sys.argv[2]), world_size=2)
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
ddp = nn.parallel.DistributedDataParallel(net)
rank = int(sys.argv[2])
writer = None if rank else cs.SummaryWriter(sys.argv[3])
optimizer = torch.optim.SGD(ddp.parameters(), 0.1)
with cs.watch(ddp, writer, every=2) as watch:
    assert watch.closed == bool(rank)
    for step in range(3):
        optimizer.zero_grad()
        ddp(torch.full((4, 3), float(rank + 1))).sum().backward()
        kept = net[2].bias.grad.clone()
        optimizer.step()
if not rank:
    writer.close()
torch.distributed.barrier()
# Who leaves first takes the others' connections along; threads of torch's own may abort a process that ends as usual.
done = [pathlib.Path(f"{sys.argv[1]}.done{other}") for other in range(2)]
done[rank].touch()
while not all(path.exists() for path in done):
    time.sleep(0.01)
os._exit(0)
"""


def test_of_several_processes_the_first_one_logs(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(WORKER))
    command = [sys.executable, str(script), str(tmp_path / "meet")]
    processes = [subprocess.Popen([*command, str(rank), str(tmp_path / "run")]) for rank in range(2)]
    assert [process.wait(600) for process in processes] == [0, 0]
    run = cs.Run(tmp_path / "run")
    assert [h.step for h in run.histograms("gradients/0.weight")] == [0, 2]
    assert len(list((tmp_path / "run").glob("events*"))) == 1
    assert run.histograms("gradients/2.bias")[0].max == 4, "the mean over ranks, not the sum"
    assert "activations/1" in run.tags()["histogram"]


def test_what_cannot_be_watched_is_refused_in_a_sentence(writer: cs.SummaryWriter) -> None:
    class FSDPModule:
        pass

    class Sharded(FSDPModule, nn.Linear):
        pass

    net = net_of()
    for call, message in {
        lambda: cs.watch(net, writer, every=0): "1 or more, got 0",
        lambda: cs.watch(net, writer, every=True): "1 or more, got True",
        lambda: cs.watch(net, writer, every=2.5): r"1 or more, got 2\.5",  # type: ignore[arg-type]
        lambda: cs.watch(net, writer, step=3): "step is a function .* got 3",  # type: ignore[arg-type]
        lambda: cs.watch(net.forward, writer): "takes a torch.nn.Module, got method",  # type: ignore[arg-type]
        lambda: cs.watch(nn.ReLU(), writer): "ReLU has no parameters",
        lambda: cs.watch(net, None): "logs with a SummaryWriter, got NoneType",
        lambda: cs.watch(net, "runs/mnist"): "logs with a SummaryWriter, got str",  # type: ignore[arg-type]
        lambda: cs.watch(nn.Sequential(Sharded(2, 2)), writer): r"whole parameters, and 0 is sharded \(FSDP, DTensor\)",
        lambda: cs.watch(net, writer, layers="("): "no regular expression",
    }.items():
        with pytest.raises(InputError, match=message):
            call()
    for layers in ("conv1", ["0", "conv1"]):
        with pytest.raises(NotFoundError, match="no layer 'conv1' in Sequential"):
            cs.watch(net, writer, layers=layers)
    assert attached(net) == attached()


def test_a_watch_that_saw_no_step_says_so(writer: cs.SummaryWriter) -> None:
    net = net_of()
    with pytest.warns(UserWarning, match="no optimiser's step of Sequential"), cs.watch(net, writer):
        train(net_of(), 1)
    with pytest.raises(ZeroDivisionError), cs.watch(net, writer):
        raise ZeroDivisionError


SPECIAL = [0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 1e-40, -1e-45, 3e38, 1.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [0, 1, 70_000])
def test_counting_on_the_device_equals_counting_here(dtype: torch.dtype, size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    values = torch.randn(size, generator=generator, dtype=torch.float64) * 10.0 ** torch.randint(-8, 4, (size,))
    values = torch.cat([values, torch.tensor(SPECIAL, dtype=torch.float64)]).to(dtype)
    truth = count((values if dtype == torch.float64 else values.float()).numpy())
    for counted in (count_on_device(values, chunk=1000).fetch(), count_on_device(values).fetch(), count_bits(values)):
        assert isinstance(counted, BitCounts)
        found = counted.distribution()
        np.testing.assert_array_equal(found.counts, truth.counts)
        np.testing.assert_array_equal(found.limits, truth.limits)
        assert (found.min, found.max, found.num, found.apart) == (truth.min, truth.max, truth.num, truth.apart)
        np.testing.assert_allclose([found.sum, found.sum_squares], [truth.sum, truth.sum_squares], rtol=1e-6)


def test_counts_add_up_and_forms_of_tensors_do_not_matter() -> None:
    a, b = torch.randn(3, 4, 5, 6), torch.randn(2, 3)
    both = count_bits(a)
    assert isinstance(both, BitCounts)
    other = count_bits(b)
    assert isinstance(other, BitCounts)
    truth = count(torch.cat([a.flatten(), b.flatten()]).numpy())
    found = (both + other).distribution()
    np.testing.assert_array_equal(found.counts, truth.counts)
    assert (found.min, found.max) == (truth.min, truth.max)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls this format a beta
        compressed = a.reshape(60, 6).to_sparse_csr()
    forms = [
        compressed,
        a.to(memory_format=torch.channels_last),
        torch.view_as_complex(a.reshape(-1, 2)).conj().conj(),
        a.reshape(60, 6).to_sparse(),
        a.clone().requires_grad_(),
        torch.cat([a, a], -1)[..., :6],
    ]
    for form in forms:
        counted = count_on_device(form)
        assert isinstance(counted, DeviceCounts)
        np.testing.assert_array_equal(counted.fetch().distribution().counts, count(a.numpy()).counts)


def test_pictures_of_filters() -> None:
    weight = np.zeros((5, 3, 2, 2), np.float32)
    weight[0, 0] = 2.0
    weight[1, 2] = -1.0
    weight[2, 1, 0, 0] = np.nan
    picture = filters_picture(weight)
    zoom = 256 // 9
    assert picture.shape == (2 * 3 * zoom, 3 * 3 * zoom, 3)
    tile = picture[::zoom, ::zoom]
    assert tile[0, 0].tolist() == [255, 128, 128]
    assert tile[0, 3].tolist() == [128, 128, 64]
    assert tile[0, 6].tolist() == [128, 128, 128]
    assert (tile[2] == 255).all(), "the line between the rows"
    assert filters_picture(np.ones((4, 1, 3, 3))).shape[2] == 1
    grey = filters_picture(np.ones((4, 2, 3, 3)))
    assert (grey.shape[0] // 4, grey.shape[2]) == (grey.shape[1] // 2, 1)
    assert filters_picture(np.zeros((2, 1, 300, 300))).shape == (301, 602, 1)
    with pytest.raises(InputError, match=r"got shape \(3, 3\)"):
        filters_picture(np.ones((3, 3)))


def test_layers_of_frozen_batch_norms_are_recorded(writer: cs.SummaryWriter) -> None:
    net = net_of()
    net[1].eval()
    with cs.watch(net, writer):
        train(net, 1)
    assert "activations/1" in run_of(writer).tags()["histogram"]


def test_the_examples_of_the_page_run() -> None:
    failed, tried = doctest.testfile(str(ROOT / "docs" / "watch.md"), module_relative=False)
    assert (failed, tried > 5) == (0, True)
