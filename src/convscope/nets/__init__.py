"""Networks and the images they look at: the only place that imports torch."""
