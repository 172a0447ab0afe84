"""The benchmark's suites for a GPU: batches that lie on the device, timed by its own clock.

The same rules as on the CPU (`docs/benchmarks.md`): pixels and labels first, rounds in turn,
medians and quartiles. On a CPU the suites run too, to see that they work; such figures are marked.
"""
