"""How parts of kernels are compiled: into LLVM's language, and no further.

Numba makes machine code of every function that a kernel calls, for nothing: a part is optimised
and translated where it is called, and nobody calls it from Python. Its work on a part therefore
ends with the lowering; the kernel that links it in is optimised as a whole.
"""

from __future__ import annotations

from typing import Any

from numba import _dynfunc  # pyright: ignore[reportAttributeAccessIssue]
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.typed_passes import NativeLowering


class _Raw(JITCodeLibrary):
    """What a part is lowered to: neither optimised nor translated."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=False, analysis_only=True)
class _Registered(LoweringPass):
    """Makes a part known to those that call it, as Numba does behind the translation."""

    _name = "mixwell_registered"

    def __init__(self) -> None:
        LoweringPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        described, lowered = state.cr.fndesc, state.cr
        name, module = described.qualname.rsplit(".", 1)[-1], described.lookup_module()
        key = _dynfunc.make_function(module, name, "", 0, lowered.env, (state.library,))
        state.targetctx.insert_user_function(key, described, [state.library])
        state.cr = lowered._replace(cfunc=key)
        return False


class PartCompiler(CompilerBase):
    """Numba's passes up to the lowering."""

    def define_pipelines(self) -> list[Any]:
        """Numba's own pipeline; what ends it is told not to translate."""
        state = self.state
        state.flags.no_compile = True
        state.library = _Raw(state.targetctx.codegen(), state.func_id.func_qualname)
        passes = DefaultPassBuilder.define_nopython_pipeline(state)
        passes.add_pass_after(_Registered, NativeLowering)
        passes.finalize()
        return [passes]
