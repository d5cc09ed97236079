"""The dialect of ``torch.utils.tensorboard`` 2.13, which is that of :class:`convscope.SummaryWriter` itself."""

from convscope.recording import SummaryWriter

__all__ = ["SummaryWriter"]
