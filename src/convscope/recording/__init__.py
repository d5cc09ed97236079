"""What a program records with: the :class:`SummaryWriter`, one file for each family of its methods.

The methods turn what they are given into bytes (:mod:`convscope.formats`) and hand them to the event log of
:mod:`convscope.store`.
"""

from convscope.recording.writer import SummaryWriter

__all__ = ["SummaryWriter"]
