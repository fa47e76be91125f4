"""Machine code for the tests: a few kernels in the native ABI, compiled with llvmlite."""

from __future__ import annotations

import functools

import llvmlite.binding as llvm

# void kernel(void** buffers, i64 begin, i64 end, i64 worker); every kernel loops over its part.
_TEMPLATE = """
define void @{name}(ptr %buffers, i64 %begin, i64 %end, i64 %worker) {{
entry:
  %slot1 = getelementptr ptr, ptr %buffers, i64 1
  %slot2 = getelementptr ptr, ptr %buffers, i64 2
  %a = load ptr, ptr %buffers
  %b = load ptr, ptr %slot1
  {third}
  %some = icmp slt i64 %begin, %end
  br i1 %some, label %body, label %done
body:
  %i = phi i64 [%begin, %entry], [%next, %body]
  {body}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %body, label %done
done:
  ret void
}}
"""
_LOAD_A = "%pa = getelementptr {t}, ptr %a, i64 %i\n  %x = load {t}, ptr %pa\n  "
_LOAD_B = "%pb = getelementptr {t}, ptr %b, i64 %i\n  %y = load {t}, ptr %pb\n  "
_STORE_B = "%pb = getelementptr {t}, ptr %b, i64 %i\n  store {t} %r, ptr %pb"
_STORE_C = "%pc = getelementptr {t}, ptr %c, i64 %i\n  store {t} %r, ptr %pc"
_THIRD = "%c = load ptr, ptr %slot2"

_BODIES = {
    # c[i] = a[i] + b[i]
    "add": (_THIRD, _LOAD_A + _LOAD_B + "%r = fadd {t} %x, %y\n  " + _STORE_C, "float"),
    # b[i] = a[i] + 1
    "increment": ("", _LOAD_A + "%r = fadd {t} %x, 1.0\n  " + _STORE_B, "float"),
    "increment_int": ("", _LOAD_A + "%r = add {t} %x, 1\n  " + _STORE_B, "i32"),
    # b[i] = the worker that executed element i
    "worker": ("", "%r = trunc i64 %worker to i32\n  " + _STORE_B, "i32"),
    # c[i] = a[i] < b[i], one byte each
    "less": (
        _THIRD,
        _LOAD_A + _LOAD_B + "%q = icmp slt {t} %x, %y\n  %r = zext i1 %q to i8\n  "
        "%pc = getelementptr i8, ptr %c, i64 %i\n  store i8 %r, ptr %pc",
        "i32",
    ),
}


@functools.cache
def _engine():
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=1)
    text = "\n".join(
        _TEMPLATE.format(name=name, third=third, body=body.format(t=kind))
        for name, (third, body, kind) in _BODIES.items()
    )
    module = llvm.parse_assembly(text)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine


def address(name: str) -> int:
    """The address of the kernel `name`; see _BODIES for what it computes."""
    return _engine().get_function_address(name)
