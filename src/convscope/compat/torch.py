"""The dialect of ``torch.utils.tensorboard`` 2.13: the arguments of ``convscope.SummaryWriter``, torch's habits."""

from convscope.compat.dialect import Dialect
from convscope.compat.filewriter import FileWriter

__all__ = ["FileWriter", "SummaryWriter"]


class SummaryWriter(Dialect):
    """Log as with ``torch.utils.tensorboard.SummaryWriter``.

    Parameters
    ----------
    log_dir, comment, purge_step, max_queue, flush_secs, filename_suffix, write_to_disk, logdir
        As for :class:`convscope.SummaryWriter`.
    """
