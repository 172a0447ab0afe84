"""The renderer for GPUs: a plan as records, copied once, and a few kernels in Triton.

Images with 1, 3 or 4 channels of uint8. Between passes all channels of a pixel stand in one 32-bit
word, as in `numba_cpu`; most rows never leave the registers between their source and the output,
because the last pass computes the rows it mixes (see `lower`). Bytes are the reference's, and
floats too.
"""
