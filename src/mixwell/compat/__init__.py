"""Other libraries' augmentation as Mixwell policies: their arguments, their pixels, their chances.

`mixwell.compat.torchvision` and `mixwell.compat.timm` hold functions with the libraries' names;
each returns an op for a `Policy`. Neither library is imported by them. What is reproduced exactly
and what is not stands in docs/concepts/profiles.md.
"""
