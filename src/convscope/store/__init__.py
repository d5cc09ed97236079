"""Files and threads: writing run directories, reading them back while they grow.

The layout of a run directory is specified in ``docs/format.md``.
"""

from convscope.store.embeddings import ProjectorEmbedding
from convscope.store.logdir import Logdir
from convscope.store.records import Record
from convscope.store.results import Entry, Histogram, Picture, Scalars, Text
from convscope.store.run import Run

__all__ = ["Entry", "Histogram", "Logdir", "Picture", "ProjectorEmbedding", "Record", "Run", "Scalars", "Text"]
