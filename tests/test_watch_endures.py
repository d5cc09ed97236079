"""watch in trainings that are not of the usual kind: errors, odd tensors, many optimisers, new ones, rollouts."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import convscope as cs
from convscope.errors import InputError, StorageError
from convscope.nets.histogram import count_on_device
from convscope.nets.rounds import Rounds
from effort import lines_of


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[cs.SummaryWriter]:
    with cs.SummaryWriter(tmp_path) as opened:
        yield opened


def run_of(writer: cs.SummaryWriter) -> cs.Run:
    writer.flush()
    return cs.Run(writer.get_logdir())


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))


def step(net: nn.Module, optimizer: torch.optim.Optimizer, scale: float = 1.0) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(net(torch.ones(2, 4)).sum() * scale)
    optimizer.step()


class Failing:
    """A writer whose disk is full at times."""

    def __init__(self, writer: cs.SummaryWriter) -> None:
        self.writer = writer
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        def method(*args: Any, **options: Any) -> None:
            if self.fails:
                raise StorageError("no space left")
            getattr(self.writer, name)(*args, **options)

        return method


def test_an_error_of_the_writer_costs_no_step_and_shifts_no_number(writer: cs.SummaryWriter) -> None:
    nets = small(), small()
    failing = Failing(writer)
    optimizers = [torch.optim.SGD(net.parameters(), 0.01) for net in nets]
    with warnings.catch_warnings(record=True) as caught, cs.watch(nets[0], failing, every=3):  # type: ignore[arg-type]
        warnings.simplefilter("always")
        for number in range(16):
            failing.fails = number in (3, 4, 5, 6, 7, 12, 13)
            for net, optimizer in zip(nets, optimizers, strict=True):
                step(net, optimizer, number + 1)
    for one, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(one, other)
    caught = [warning for warning in caught if warning.category is RuntimeWarning]  # others are of what is collected
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2, "one of the errors up to step 9, another after it"
    assert all("cs.watch could not log Sequential (StorageError: no space left)" in message for message in messages)
    assert {Path(warning.filename).name for warning in caught} == {Path(__file__).name}
    assert [h.step for h in run_of(writer).histograms("gradients/2.bias")] == [0, 9, 15]
    assert [h.max for h in run_of(writer).histograms("gradients/2.bias")] == [2, 20, 32], "2 (step + 1)"


def test_a_closed_writer_is_told_once(writer: cs.SummaryWriter) -> None:
    net = small()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with cs.watch(net, writer, every=1):
        writer.close()
        before = net[2].bias.detach().clone()
        with pytest.warns(RuntimeWarning, match="is closed"):
            step(net, optimizer)
        assert not torch.equal(before, net[2].bias)
        step(net, optimizer)  # a second warning would be an error


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("layout", [torch.jagged, torch.strided])
def test_nested_tensors_pass_by(layout: torch.layout, writer: cs.SummaryWriter) -> None:
    net = small()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with cs.watch(net, writer, every=1):
        given = torch.nested.nested_tensor([torch.rand(3, 4), torch.rand(5, 4)], layout=layout)
        out = net(given)
        flat = out.values() if layout is torch.jagged else out.to_padded_tensor(0.0)
        torch.autograd.backward(flat.mean())
        optimizer.step()
    tags = run_of(writer).tags()["histogram"]
    assert "gradients/0.weight" in tags
    assert not any(tag.startswith("activations") for tag in tags)


def test_fake_tensors_and_what_cannot_be_counted_pass_by(
    writer: cs.SummaryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = small()
    with cs.watch(net, writer, every=1):
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            net(mode.from_tensor(torch.rand(2, 4)))
        step(net, torch.optim.SGD(net.parameters(), 0.01))
        monkeypatch.setattr("convscope.nets.hooks.count_bits", lambda _: 1 / 0)
        with pytest.warns(RuntimeWarning, match="ZeroDivisionError"):
            net(torch.rand(2, 4))
    assert run_of(writer).histograms("activations/0")[0].num == 8


def test_rollouts_before_a_step_cost_neither_memory_nor_time(
    writer: cs.SummaryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convscope.nets import hooks

    counted = []
    monkeypatch.setattr(hooks, "count_bits", lambda tensor: counted.append(1) or count_on_device(tensor).fetch())
    net = small()
    with cs.watch(net, writer, every=1) as watch:
        with torch.no_grad():
            for _ in range(2000):
                net(torch.ones(1, 4))
        assert watch._activations is not None
        assert [len(parts) for parts in watch._activations._seen.values()] == [1, 1, 1]
        step(net, torch.optim.SGD(net.parameters(), 0.01))
    calls = 63 + 4 * 32 + 31  # the first 63, 32 in each octave up to 1023, and 31 up to 2000
    assert len(counted) == 3 * calls
    assert run_of(writer).histograms("activations/0")[0].num == 4 * calls


def test_counts_on_a_device_add_up() -> None:
    parts = torch.randn(70), torch.tensor([1.0, float("nan"), 1e9])
    found = (count_on_device(parts[0]) + count_on_device(parts[1])).fetch()
    truth = count_on_device(torch.cat(parts)).fetch()
    np.testing.assert_array_equal(found.counts, truth.counts)
    assert (found.minimum, found.maximum, found.nan) == (truth.minimum, truth.maximum, truth.nan)


@pytest.mark.parametrize("kept", [False, True])
def test_a_new_optimiser_of_the_same_parameters_goes_on_with_the_count(kept: bool, writer: cs.SummaryWriter) -> None:
    net = small()
    old, number = [], 0
    with cs.watch(net, writer, every=10):
        for _ in range(4):
            optimizer = torch.optim.SGD(net.parameters(), 0.0)
            old.append(optimizer) if kept else None
            for _ in range(25):
                step(net, optimizer, number + 1)
                number += 1
    run = run_of(writer)
    biases = run.histograms("gradients/2.bias")
    assert [h.step for h in biases] == list(range(0, 100, 10))
    assert [h.max / 2 - 1 for h in biases] == list(range(0, 100, 10))
    assert list(run.scalars("gradient_norm/total").step) == list(range(0, 100, 10))
    assert "gradient_norm/total_2" not in run.tags()["scalar"]


class Named:
    """Stands for an optimiser."""


def test_optimisers_that_share_parameters_and_take_turns_keep_their_names() -> None:
    rounds = Rounds(every=1)
    critic, generator = Named(), Named()
    seen = []
    for _ in range(3):
        for optimizer, names in ((critic, ["encoder", "critic"]), (generator, ["encoder", "generator"])):
            course = rounds.course(optimizer, names)
            seen.append((course.number, rounds.next(course)))
            rounds.took(course, logged=True)
    assert seen == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
    whole = Named()
    assert rounds.course(whole, ["encoder", "critic", "generator"]).number == 0, "in the place of both"
    revived = rounds.course(critic, ["encoder", "critic"])
    assert revived.number == 2, "the names are given once"
    other = rounds.course(Named(), ["other"])
    assert other.number == 3


def test_one_optimiser_for_each_parameter_has_a_price_that_does_not_grow_and_one_norm(
    writer: cs.SummaryWriter,
) -> None:
    net = nn.Sequential(*[nn.Linear(4, 4) for _ in range(6)])
    of = {parameter: torch.optim.SGD([parameter], 0.0) for parameter in net.parameters()}
    with cs.watch(net, writer, every=2):
        for _ in range(3):
            torch.autograd.backward(net(torch.ones(2, 4)).sum())
            norm = torch.stack([parameter.grad.norm() for parameter in of if parameter.grad is not None]).norm()
            for optimizer in of.values():
                optimizer.step()
                optimizer.zero_grad()
    run = run_of(writer)
    totals = [tag for tag in run.tags()["scalar"] if tag.startswith("gradient_norm/total")]
    assert totals == ["gradient_norm/total"]
    assert list(run.scalars(totals[0]).step) == [0, 2]
    np.testing.assert_allclose(run.scalars(totals[0]).value, [norm, norm], rtol=1e-5)


def test_the_count_of_many_optimisers_takes_constant_time() -> None:
    def lines(optimizers: int, steps: int) -> int:
        rounds, made = Rounds(every=1000), [Named() for _ in range(optimizers)]

        def take() -> None:
            for number in range(steps):
                course = rounds.course(made[number % optimizers], [str(number % optimizers)])
                rounds.took(course, logged=rounds.due(course))
                rounds.any_due()

        return lines_of(take)

    assert lines(2000, 4000) < 3 * lines(2, 4000)


def test_nothing_of_a_logged_step_is_kept(writer: cs.SummaryWriter) -> None:
    net = small()
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with cs.watch(net, writer, every=100) as watch:
        step(net, optimizer)
        assert watch._under_way is None
        assert watch._last is not None
        assert {id(value) for value in watch._last[0].values()} == {id(value) for value in net.parameters()}
    assert watch._last is None
    assert not watch._held


def test_a_step_that_has_raised_silences_nobody(writer: cs.SummaryWriter) -> None:
    class Bad(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            raise MemoryError

    net = small()
    bad, good = Bad(net.parameters(), 0.1), torch.optim.SGD(net.parameters(), 0.0)
    with cs.watch(net, writer, every=1):
        with pytest.raises(MemoryError):
            step(net, bad)
        for _ in range(3):
            step(net, good)
    assert [h.step for h in run_of(writer).histograms("gradients/2.bias")] == [0, 1, 2]


def test_filters_are_those_of_the_layers_asked_for(writer: cs.SummaryWriter) -> None:
    for layers, expected in ((["2"], []), (["1", "2"], ["filters/1"])):
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 2), nn.Flatten(), nn.LazyLinear(1))
        net(torch.ones(1, 1, 4, 4))
        with cs.watch(net, writer, layers=layers):
            torch.autograd.backward(net(torch.ones(1, 1, 4, 4)).sum())
            torch.optim.SGD(net.parameters(), 0.1).step()
        assert list(run_of(writer).tags().get("image", [])) == expected


def test_a_head_that_trains_on_a_body_at_rest_is_recorded(writer: cs.SummaryWriter) -> None:
    net = small().eval()
    net[2].train()
    with cs.watch(net, writer, every=1):
        step(net, torch.optim.SGD(net[2].parameters(), 0.1))
    assert [tag for tag in run_of(writer).tags()["histogram"] if "activations" in tag] == ["activations/2"]


def test_the_alarm_points_at_the_users_line(writer: cs.SummaryWriter) -> None:
    net = small()
    with cs.watch(net, writer), pytest.warns(RuntimeWarning, match="not finite") as caught:
        step(net, torch.optim.SGD(net.parameters(), 0.1), float("inf"))
    assert Path(caught[0].filename).name == Path(__file__).name


def test_an_alarm_made_an_error_comes_through(writer: cs.SummaryWriter) -> None:
    net = small()
    with cs.watch(net, writer), pytest.raises(RuntimeWarning, match="not finite"):
        step(net, torch.optim.SGD(net.parameters(), 0.1), float("inf"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_says_what_to_do(writer: cs.SummaryWriter) -> None:
    net = small()
    with cs.watch(net, writer, activations=False):
        torch.jit.script(net)
        step(net, torch.optim.SGD(net.parameters(), 0.1))
    with cs.watch(net, writer):
        with pytest.raises(AttributeError, match="script the network before the watch"):
            torch.jit.script(net)
        assert copy.deepcopy(net)(torch.ones(1, 4)).shape == (1, 1)
        step(net, torch.optim.SGD(net.parameters(), 0.1))
    torch.jit.script(net)


@pytest.mark.parametrize("layers", [5, [], [3], ""])
def test_layers_that_make_no_sense(layers: Any, writer: cs.SummaryWriter) -> None:
    with pytest.raises(InputError, match="layers are names or a regular expression, got"):
        cs.watch(small(), writer, layers=layers)


def test_a_step_function_that_fails_is_the_users_own_error(writer: cs.SummaryWriter) -> None:
    def number() -> Tensor:
        raise KeyError("epoch")

    net = small()
    with pytest.raises(KeyError), cs.watch(net, writer, step=number):
        step(net, torch.optim.SGD(net.parameters(), 0.1))
