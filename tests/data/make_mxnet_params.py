"""Make ``mxnet/*.params`` and ``mxnet/list.ndarray``: arrays of every type by MXNet, of its second and third version.

It was run with Python 3.11, mxnet 1.9.1 and numpy 1.23.5 (none of them a dependency of the tests: the bytes are checked
in):

    python tests/data/make_mxnet_params.py
"""

from pathlib import Path

import mxnet as mx
import numpy as np

OUT = Path(__file__).parent / "mxnet"
TYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64")


def main() -> None:
    """Write the files; ``made(type)`` of the tests gives the same numbers."""
    OUT.mkdir(exist_ok=True)
    arrays = {f"arg:{name}_weight": mx.nd.array(np.arange(6).reshape(1, 2, 3), dtype=name) for name in TYPES}
    arrays["aux:bn_moving_mean"] = mx.nd.array([0.5, -0.5])
    mx.nd.save(str(OUT / "types.params"), arrays)
    mx.nd.save(str(OUT / "list.ndarray"), [mx.nd.ones((2, 2)), mx.nd.zeros((3,))])
    mx.nd.save(str(OUT / "sparse.params"), {"a": mx.nd.ones((2, 2)).tostype("row_sparse")})
    mx.npx.set_np()
    third = {"scalar": mx.np.array(2.5), "empty": mx.np.zeros((0, 3)), "flags": mx.np.array([True, False], dtype=bool)}
    mx.npx.save(str(OUT / "third.params"), third)


if __name__ == "__main__":
    main()
