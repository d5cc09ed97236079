"""The jobs of the command line and the demo: compute something, write it to a run. Here computing and showing meet.

Nothing is imported here: what computes needs torch, what only shows does not.
"""
