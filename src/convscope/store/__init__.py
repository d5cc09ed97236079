"""Files and threads: writing run directories, reading them back while they grow.

The layout of a run directory is specified in ``docs/format.md``.
"""

from convscope.store.records import Record
from convscope.store.results import Entry, Histogram, Picture, Scalars, Text
from convscope.store.run import Logdir, Run

__all__ = ["Entry", "Histogram", "Logdir", "Picture", "Record", "Run", "Scalars", "Text"]
