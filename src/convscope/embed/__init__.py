"""Embeddings: a layer's answer to many pictures, laid out so that it can be seen and searched ([METHODS §9])."""

from convscope.embed.embedding import PROJECTIONS, Embedding, Projection
from convscope.embed.neighbours import nearest, preservation
from convscope.embed.pca import pca
from convscope.embed.tsne import tsne

__all__ = ["PROJECTIONS", "Embedding", "Projection", "nearest", "pca", "preservation", "tsne"]
