"""The fast renderer for CPUs: one pass over each row, compiled by Numba, threads over rows.

Images with 1, 3 or 4 channels are held as packed pixels: one 32-bit word holds all channels of a
pixel, red in the lowest byte. Ops read and write such words in a buffer that stays in the cache;
the last pass mixes, erases, normalises and writes the output once.
"""
