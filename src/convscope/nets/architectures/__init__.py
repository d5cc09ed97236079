"""The networks of the zoo, built layer by layer: one file a family, each naming the definition it follows."""

from convscope.nets.architectures.alexnet import AlexNet, bvlc_alexnet, caffenet, zfnet
from convscope.nets.architectures.cifar import CifarResNet, resnet8
from convscope.nets.architectures.googlenet import googlenet
from convscope.nets.architectures.inception_bn import inception_bn
from convscope.nets.architectures.mobilenet import MobileNetV2
from convscope.nets.architectures.resnet import ResNet
from convscope.nets.architectures.resnet_mxnet import resnet_mxnet
from convscope.nets.architectures.small import mnist, mnist_mlp, tinyvgg
from convscope.nets.architectures.squeezenet import squeezenet
from convscope.nets.architectures.vgg import vgg

__all__ = [
    "AlexNet",
    "CifarResNet",
    "MobileNetV2",
    "ResNet",
    "bvlc_alexnet",
    "caffenet",
    "googlenet",
    "inception_bn",
    "mnist",
    "mnist_mlp",
    "resnet8",
    "resnet_mxnet",
    "squeezenet",
    "tinyvgg",
    "vgg",
    "zfnet",
]
