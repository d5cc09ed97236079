"""What torch's functions are called when they are layers: ``relu``, ``+`` and ``aten.relu.default`` are all a ReLU."""

from __future__ import annotations

from typing import Any, Final

_SAME: Final = {
    "iadd": "add", "radd": "add", "isub": "sub", "rsub": "sub", "subtract": "sub", "imul": "mul", "rmul": "mul",
    "multiply": "mul", "truediv": "div", "rtruediv": "div", "itruediv": "div", "divide": "div", "true_divide": "div",
    "rpow": "pow", "ipow": "pow", "concat": "cat", "concatenate": "cat", "rmatmul": "matmul", "mm": "matmul",
    "bmm": "matmul", "view": "reshape", "unsafe_view": "reshape", "reshape_as": "reshape",
    "view_as": "reshape", "transpose": "permute", "swapaxes": "permute", "movedim": "permute", "t": "permute",
    "max_pool2d_with_indices": "max_pool2d", "max_pool1d_with_indices": "max_pool1d",
    "max_pool3d_with_indices": "max_pool3d", "native_batch_norm_legit_no_training": "batch_norm",
    "native_batch_norm": "batch_norm", "cudnn_batch_norm": "batch_norm", "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm", "clamp_min": "clamp", "clip": "clamp", "upsample": "interpolate",
    "upsample_nearest2d": "interpolate", "upsample_bilinear2d": "interpolate", "upsample_bicubic2d": "interpolate",
    "constant_pad_nd": "pad", "feature_dropout": "dropout", "dropout2d": "dropout",
    "clamp_max": "clamp", "square": "pow", "getitem": "slice",
    "safe_softmax": "softmax",
}  # fmt: skip
"""Other names under which torch has a function."""

KINDS: Final = {
    "conv1d": "Conv1d", "conv2d": "Conv2d", "conv3d": "Conv3d", "convolution": "Conv2d",
    "conv_transpose1d": "ConvTranspose1d", "conv_transpose2d": "ConvTranspose2d", "conv_transpose3d": "ConvTranspose3d",
    "linear": "Linear", "addmm": "Linear", "bilinear": "Bilinear", "matmul": "MatMul", "baddbmm": "MatMul",
    "einsum": "Einsum", "embedding": "Embedding",
    "relu": "ReLU", "relu6": "ReLU6", "hardtanh": "Hardtanh", "leaky_relu": "LeakyReLU", "prelu": "PReLU",
    "rrelu": "RReLU", "elu": "ELU", "selu": "SELU", "celu": "CELU", "gelu": "GELU", "silu": "SiLU", "mish": "Mish",
    "sigmoid": "Sigmoid", "hardsigmoid": "Hardsigmoid", "hardswish": "Hardswish", "tanh": "Tanh",
    "softplus": "Softplus", "softmax": "Softmax", "log_softmax": "LogSoftmax", "logsigmoid": "LogSigmoid",
    "log_sigmoid": "LogSigmoid", "softsign": "Softsign", "hardshrink": "Hardshrink", "softshrink": "Softshrink",
    "clamp": "Clamp", "threshold": "Threshold", "glu": "GLU", "abs": "Abs", "exp": "Exp", "sqrt": "Sqrt",
    "rsqrt": "Rsqrt", "pow": "Pow", "erf": "Erf", "neg": "Neg",
    "max_pool1d": "MaxPool1d", "max_pool2d": "MaxPool2d", "max_pool3d": "MaxPool3d", "avg_pool1d": "AvgPool1d",
    "avg_pool2d": "AvgPool2d", "avg_pool3d": "AvgPool3d", "lp_pool2d": "LPPool2d",
    "adaptive_avg_pool1d": "AdaptiveAvgPool1d", "adaptive_avg_pool2d": "AdaptiveAvgPool2d",
    "adaptive_max_pool1d": "AdaptiveMaxPool1d", "adaptive_max_pool2d": "AdaptiveMaxPool2d",
    "batch_norm": "BatchNorm2d", "layer_norm": "LayerNorm", "group_norm": "GroupNorm", "rms_norm": "RMSNorm",
    "instance_norm": "InstanceNorm2d", "local_response_norm": "LocalResponseNorm", "normalize": "Normalize",
    "dropout": "Dropout", "pad": "Pad", "interpolate": "Upsample", "pixel_shuffle": "PixelShuffle",
    "pixel_unshuffle": "PixelUnshuffle", "channel_shuffle": "ChannelShuffle", "grid_sample": "GridSample",
    "unfold": "Unfold", "fold": "Fold", "roll": "Roll", "flip": "Flip",
    "cat": "Cat", "stack": "Stack", "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "maximum": "Maximum",
    "minimum": "Minimum", "where": "Where", "addcmul": "Addcmul", "lerp": "Lerp",
    "mean": "Mean", "sum": "Sum", "amax": "Max", "amin": "Min", "max": "Max", "logsumexp": "LogSumExp",
    "flatten": "Flatten", "reshape": "Reshape", "unflatten": "Unflatten", "permute": "Permute", "squeeze": "Squeeze",
    "unsqueeze": "Unsqueeze", "slice": "Slice", "narrow": "Slice", "select": "Slice", "index_select": "Slice",
    "repeat": "Repeat", "expand": "Expand", "scaled_dot_product_attention": "Attention",
    "multi_head_attention_forward": "Attention",
}  # fmt: skip
"""The functions that are layers where a module calls them itself, and the kind they are: as torch's own modules."""


def function_name(func: Any) -> str:
    """Return what a function is called as a layer: ``add`` for ``+=``; empty where it is none.

    >>> import torch
    >>> function_name(torch.Tensor.__iadd__), function_name(torch.ops.aten.relu_.default), function_name(torch.numel)
    ('add', 'relu', '')
    """
    packet = getattr(func, "overloadpacket", None)  # of an operator
    name = str(getattr(packet if packet is not None else func, "__name__", "")).strip("_")
    name = _SAME.get(name, name)
    return name if name in KINDS else ""
