"""Whole programs as networks: those of ``torch.export``, and TorchScript, both read into ordinary modules."""
