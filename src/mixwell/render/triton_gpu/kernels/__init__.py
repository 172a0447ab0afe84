"""Kernels in Triton. The rules are those of `mixwell.render.reference`; the records that tell a
kernel what to do are described in `mixwell.render.triton_gpu.records`.

They are launched with `enable_fp_fusion=False`, so that no compiler joins a product and a sum into
one rounding, and divide with `tl.div_rn`, since Triton's `/` on float32 is off by up to 2 ulp.
Divisions of whole numbers that may be negative are mended by hand, because Triton cuts off where
Python floors. Under TRITON_INTERPRET=1, read when Triton is imported, they run in NumPy on the CPU.
"""
