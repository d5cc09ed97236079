"""The dialects of the writers that programs were written for: change the import, nothing else.

============================================ =================================================
was                                          becomes
============================================ =================================================
``from torch.utils.tensorboard import …``    ``from convscope.compat.torch import …``
``from tensorboardX import …``               ``from convscope.compat.tensorboardx import …``
``from mxboard import …``                    ``from convscope.compat.mxboard import …``
============================================ =================================================

``convscope.SummaryWriter`` has torch's arguments, but neither cuts steps nor goes on after ``close()``.
``docs/compat.md`` says where the three differ, and where we do not do as the original did.
"""
