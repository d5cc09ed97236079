"""convscope: see what a convolutional network learns, while it trains and after.

>>> import convscope as cs
>>> run = cs.Run("runs/mnist")              # doctest: +SKIP
>>> run.scalars("loss").value[-1]           # doctest: +SKIP

The names below are bound when they are first used: importing convscope loads numpy and nothing heavier.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convscope.embed import Embedding
    from convscope.errors import ConvscopeError
    from convscope.inspect.topk import TopK
    from convscope.inspect.volume import Volume
    from convscope.jobs.figures import figure
    from convscope.jobs.show import show
    from convscope.jobs.vectors import read_embedding
    from convscope.nets.torch import Model
    from convscope.nets.watch import watch
    from convscope.recording import SummaryWriter
    from convscope.store import Logdir, Run
    from convscope.summary import Summary
    from convscope.view.html import export

__version__ = "0.1.0"

_MODULES = {"notebook"}
_HOMES = {
    "ConvscopeError": "convscope.errors",
    "Embedding": "convscope.embed",
    "export": "convscope.view.html",
    "figure": "convscope.jobs.figures",
    "Logdir": "convscope.store",
    "Model": "convscope.nets.torch",
    "read_embedding": "convscope.jobs.vectors",
    "Run": "convscope.store",
    "Summary": "convscope.summary",
    "SummaryWriter": "convscope.recording",
    "TopK": "convscope.inspect.topk",
    "Volume": "convscope.inspect.volume",
    "show": "convscope.jobs.show",
    "watch": "convscope.nets.watch",
}

__all__ = [  # noqa: RUF022 - sorted without regard to case, as people look names up
    "ConvscopeError",
    "Embedding",
    "export",
    "figure",
    "Logdir",
    "Model",
    "read_embedding",
    "Run",
    "show",
    "Summary",
    "SummaryWriter",
    "TopK",
    "Volume",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"convscope.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'convscope' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
