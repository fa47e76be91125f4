"""Functions whose rules have effects, under transformations: expressions of `effects`."""

from __future__ import annotations

from oracle.effects import TRANSFORMATIONS

#: functions, and where in them callbacks stand
PROGRAMS = [
    ("with_jvp", (1,)), ("with_jvp", (1, 2)), ("with_jvp", (6,)), ("with_jvp_of_itself", (1, 2)),
    ("with_vjp", (1, 3, 4)), ("with_vjp_of_itself", (1, 4)), ("vjp_in_jvp", (1, 2, 3, 4)),
    ("jvp_in_vjp", (1, 2, 3)), ("derived", (1, 2)), ("derived_loop", (1,)),
    ("derived_branch", (1, 2)), ("unused", (1, 2)), ("unused", (6,)),
    ("unused_backwards", (1, 3, 4)),
]  # fmt: skip
#: for kinds of callbacks that differ from unordered ones in few places
SOME = [
    "plain", "jit", "grad", "jit grad", "grad jit", "jvp", "jit jvp", "vmap", "jit vmap",
    "vmap grad", "grad vmap", "linearize", "vjp", "scan", "jit scan", "jvp scan", "while",
    "vmap while", "cond", "grad cond", "vmap cond", "grad checkpoint", "vmap checkpoint",
]  # fmt: skip
#: where rules of vmap alone are used: JAX refuses to linearize functions that have them
FORWARDS = [name for name in TRANSFORMATIONS if not any(
    word in name for word in ("grad", "vjp", "linearize", "hessian", "jacrev"))]  # fmt: skip


def expression(function: str, places: tuple[int, ...], kind: str, transformation: str) -> str:
    """One run."""
    return f"effects.run(jax, effects.{function}, {places}, {kind!r}, {transformation!r})"


EFFECT_EXPRESSIONS = {
    f"effects, {function} {places}, {kind}": [
        expression(function, places, kind, transformation) for transformation in chosen
    ]
    for function, places in PROGRAMS
    for kind, chosen in (("io", TRANSFORMATIONS), ("ordered io", SOME), ("debug", SOME))
} | {
    f"effects, with_batching (1, 5), {kind}": [
        expression("with_batching", (1, 5), kind, transformation) for transformation in FORWARDS
    ]
    for kind in ("io", "ordered io", "debug")
}
