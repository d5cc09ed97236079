"""Where images come from: one file a source, all of them sets of images as :mod:`convscope.nets.data` describes."""
