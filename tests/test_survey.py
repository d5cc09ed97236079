"""Networks of torchvision and timm, some of each family; `make survey` looks into all of them."""

from __future__ import annotations

from functools import partial

import pytest

import survey

TORCHVISION = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "mnasnet0_5",
    "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t",
)  # fmt: skip
TIMM = (
    "convnextv2_atto", "cspdarknet53", "dla34", "dpn48b", "efficientnet_lite0", "ghostnet_100", "hardcorenas_a",
    "hrnet_w18_small", "lcnet_050", "mixnet_s", "nf_regnet_b0", "regnetx_002", "repvgg_a0", "res2net50_14w_8s",
    "resnetv2_18", "selecsls42b", "skresnet18", "tinynet_e", "vovnet39a",
)  # fmt: skip
ALL = [f"torchvision:{name}" for name in TORCHVISION] + [f"timm:{name}" for name in TIMM]


@pytest.fixture(scope="module")
def builders() -> dict[str, tuple[survey.Builder, int]]:
    import timm

    known = {name: (build, size) for name, build, size in survey.torchvisions()}
    for name in TIMM:
        known[f"timm:{name}"] = (partial(timm.create_model, name, pretrained=False), 96)
    return known


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ALL)
def test_layers_activations_and_fields_are_right(name: str, builders: dict[str, tuple[survey.Builder, int]]) -> None:
    build, size = builders[name]
    row = survey.look(name, build(), size)
    assert row.layers > 10
    assert row.equal > 10
    assert row.checked > 0
