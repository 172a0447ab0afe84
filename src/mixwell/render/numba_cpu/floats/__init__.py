"""The fast renderer for float images: planar float32 rows, in the reference's order of operations.

Every product and every sum is rounded to float32 by itself and in the order in which the reference
does them. Helpers that know nothing of pixels' form are those of the renderer for bytes.
"""
