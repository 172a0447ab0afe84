"""Compile the kernels for a GPU that is not here: python -m tests.render.triton_compiled cuda | hip

A line for each variant: seconds, and how many instructions join a product and a sum. For "cuda" it
must be none; its assembler comes with Triton, so the machine code is made as well. AMD divides by
sequences of such instructions, which are exact together.
"""

from __future__ import annotations

import re
import sys
import time

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from mixwell.render.triton_gpu.kernels.finish import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    UINT8,
    WORDS,
    finish,
)
from mixwell.render.triton_gpu.kernels.passes import blur_across, run_passes
from mixwell.render.triton_gpu.kernels.taps import make_tables, make_taps
from mixwell.render.triton_gpu.launch import BLOCKS

TARGETS = {"cuda": GPUTarget("cuda", 90, 32), "hip": GPUTarget("hip", "gfx942", 64)}
KINDS = {
    "statistics": "*fp32",
    "steps": "*fp64",
    "taps": "*i32",
    "weights": "*i32",
    "numbers": "*i32",
    "counts": "*i32",
    "tables": "*u8",
}
FUSED = re.compile(r"\bfma\.rn|\bfma\.f|v_fma_|v_fmac_|v_mad_f|v_mac_f|v_pk_fma")
FINAL = [
    {"CHANNELS": 3, "REACH": 0, "FORM": FLOAT32, "NORMALIZED": True, "LOOSE": False},
    {"CHANNELS": 3, "REACH": 1, "FORM": FLOAT16, "NORMALIZED": True, "LOOSE": False},
    {"CHANNELS": 3, "REACH": 2, "FORM": BFLOAT16, "NORMALIZED": True, "LOOSE": False},
    {"CHANNELS": 4, "REACH": 3, "FORM": WORDS, "NORMALIZED": False, "LOOSE": False},
    {"CHANNELS": 1, "REACH": 3, "FORM": UINT8, "NORMALIZED": False, "LOOSE": False},
    {"CHANNELS": 3, "REACH": 1, "FORM": FLOAT32, "NORMALIZED": True, "LOOSE": True},
]


def compiled(kernel, target: GPUTarget, warps: int = 4, **fixed) -> tuple[float, int]:
    """Seconds, and the number of fused instructions."""
    names = kernel.arg_names
    kinds = {n: "constexpr" if n in fixed else KINDS.get(n, "*i64") for n in names}
    source = ASTSource(
        fn=kernel,
        signature=kinds,
        constexprs={(names.index(n),): value for n, value in fixed.items()},
        attrs={(i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if n not in fixed},
    )
    start = time.perf_counter()
    options = {"num_warps": warps, "enable_fp_fusion": False}
    made = triton.compile(source, target=target, options=options)
    text = made.asm["ptx" if target.backend == "cuda" else "amdgcn"]
    lines = [line for line in text.splitlines() if FUSED.search(line)]
    return time.perf_counter() - start, len(lines)


def main(name: str) -> None:
    target = TARGETS[name]
    for fixed in FINAL:
        tell("finish", fixed, compiled(finish, target, BLOCK=BLOCKS[fixed["REACH"]], **fixed))
    for channels in (1, 3):
        fixed = {"CHANNELS": channels, "REACH": 3, "BLOCK": BLOCKS[3]}
        tell("run_passes", fixed, compiled(run_passes, target, **fixed))
    tell("blur_across", {}, compiled(blur_across, target, CHANNELS=3, BLOCK=512))
    tell("make_taps", {}, compiled(make_taps, target, BLOCK=128))
    tell("make_tables", {}, compiled(make_tables, target, warps=16, CHANNELS=3))


def tell(name: str, fixed: dict, found: tuple[float, int]) -> None:
    print(f"{name} {fixed} {found[0]:.1f} s, {found[1]} fused", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
