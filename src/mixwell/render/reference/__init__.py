"""The reference renderer in plain PyTorch: it defines the result of every other backend."""
