"""Makes the pure-Python parts of torchvision importable where its wheel does not fit the build of torch.

Its C++ operators are then missing; the definitions of its networks do not use them.
"""

import torch

_library = torch.library.Library("torchvision", "FRAGMENT")
for _operator in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _operator):
        _library.define(f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
