"""Integrated gradients: the gradient on the straight way from a baseline to the image ([Sun17] §3)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from convscope.inspect.attribution import RuleReport
from convscope.nets.backward import ascended
from convscope.nets.measuring import Question, zeros


def integrated_gradients(question: Question) -> tuple[Tensor, Tensor, RuleReport]:
    """Return (image − baseline) · ∫ gradient, by Gauss-Legendre quadrature at ``rule.steps`` points of the path.

    The values of an image sum to activation(image) − activation(baseline), up to the quadrature: the gradient jumps
    where a ReLU opens.
    """
    rule, images = question.rule, question.images
    points, weights = np.polynomial.legendre.leggauss(rule.steps)
    points, weights = (points + 1) / 2, weights / 2
    activation = question.activations()
    total = zeros(images, activation)
    report = RuleReport(rule.name, 0, 0)
    for batch in question.batches(rule.steps * len(images)):
        step, row = np.divmod(np.array(batch), len(images))
        there = points[step].reshape(-1, 1, 1, 1).astype(images.dtype)
        way = rule.baseline + there * (images[row] - rule.baseline)
        with ascended(question.network, way, question.tap, rule) as ascent:
            signal = ascent.back([question.origins[i] for i in row])[0][: len(row)].to(total)
            report = ascent.report
        share = torch.from_numpy(weights[step]).to(total).reshape(-1, 1, 1, 1)
        total.index_add_(0, torch.from_numpy(row).to(total.device), signal * share)
    moved = torch.from_numpy(images - rule.baseline).to(total)
    said = {"steps": f"{rule.steps}", "baseline": f"{rule.baseline:g}"}
    return total * moved, activation, replace(report, parameters=said)
