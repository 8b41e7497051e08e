"""The hot loops, in plain PyTorch that defines the answer."""
