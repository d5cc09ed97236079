"""Embeddings: a layer's answer to many pictures, laid out so that it can be seen and searched ([METHODS §9])."""

from convscope.embed.embedding import Embedding
from convscope.embed.frames import Frame, Frames
from convscope.embed.methods import PROJECTIONS, project
from convscope.embed.neighbours import Index, nearest
from convscope.embed.pca import pca
from convscope.embed.projection import Projection
from convscope.embed.quality import measure
from convscope.embed.running import Running
from convscope.embed.tsne import tsne

__all__ = [
    "PROJECTIONS",
    "Embedding",
    "Frame",
    "Frames",
    "Index",
    "Projection",
    "Running",
    "measure",
    "nearest",
    "pca",
    "project",
    "tsne",
]
