"""The jobs of the command line and the demo: compute something, write it to a run. Here computing and showing meet."""

from convscope.jobs.folder import inspect_folder
from convscope.jobs.record import record_embedding, record_filters, record_top_k, record_volumes

__all__ = ["inspect_folder", "record_embedding", "record_filters", "record_top_k", "record_volumes"]
