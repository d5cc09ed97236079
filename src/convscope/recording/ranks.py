"""Which of the processes of a distributed training this one is."""

from __future__ import annotations

import os
import sys
from typing import Final

from convscope.errors import InputError

_VARIABLES: Final = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")


def rank_of_process() -> int:
    """Return the rank of this process among all of a training, 0 if it is alone.

    Raises
    ------
    InputError
        If the environment names a rank that is not a number.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        return int(torch.distributed.get_rank())
    for name in _VARIABLES:
        if value := os.environ.get(name):
            if not value.isdecimal():
                raise InputError(f"the environment variable {name} is {value!r}, which is no rank; unset it")
            return int(value)
    return 0
