"""Dense: matrix products of every shape class, each with its gradient."""

from __future__ import annotations

from benchmarks.cases.case import case, integers, normal
from benchmarks.cases.library import jnp, lax

TOLERANCE = {"float32": 1e-4, "float64": 1e-10, "bfloat16": 2e-2}
SHORT = {"float32": "f32", "float64": "f64", "bfloat16": "bf16"}


def product(name, function, flops, *shapes, dtype="float32", **fields):
    """A product of normal matrices; the pull-back is two products."""
    fields = {
        "bound": SHORT[dtype],
        "flops": flops,
        "tolerance": TOLERANCE[dtype],
        "x64": dtype == "float64",
        "gradient": {},
        **fields,
    }

    def make():
        return function, tuple(normal(*s, seed=k, dtype=dtype) for k, s in enumerate(shapes))

    case(name, "dense", **fields)(make)


def matmul(x, y):
    return x @ y


for dtype, short in SHORT.items():
    for n in (64, 128, 256, 512, 1024, 2048):
        wanted = {"float32": 0.85, "bfloat16": 0.65}.get(dtype) if n >= 256 else None
        product(
            f"matmul {n} {short}",
            matmul,
            2.0 * n**3,
            (n, n),
            (n, n),
            dtype=dtype,
            share=wanted,
            smoke=n == 256,
        )

for n in (256, 1024):
    case(f"matmul {n} int8, sums in int32", "dense", flops=2.0 * n**3)(
        lambda n=n: (
            lambda x, y: lax.dot(x, y, preferred_element_type=jnp.int32),
            (integers(127, n, n, dtype="int8"), integers(127, n, n, seed=1, dtype="int8")),
        )
    )

product(
    "matmul of odd sizes, 511 x 513 x 509", matmul, 2.0 * 511 * 513 * 509, (511, 513), (513, 509)
)
product(
    "x.T @ y, 1024", lambda x, y: x.T @ y, 2.0 * 1024**3, (1024, 1024), (1024, 1024), share=0.85
)
product(
    "x @ y.T, 1024", lambda x, y: x @ y.T, 2.0 * 1024**3, (1024, 1024), (1024, 1024), share=0.85
)
product("tall: 100k x 64 @ 64 x 64", matmul, 2.0 * 100_000 * 64**2, (100_000, 64), (64, 64))
product(
    "tall: 1 M x 3 @ 3 x 3", matmul, 2.0 * 1_000_000 * 9, (1_000_000, 3), (3, 3), bound="memory"
)
product(
    "skinny: 64 x 100k @ 100k x 64", matmul, 2.0 * 100_000 * 64**2, (64, 100_000), (100_000, 64)
)
product(
    "skinny: 16 x 4096 @ 4096 x 4096",
    matmul,
    2.0 * 16 * 4096**2,
    (16, 4096),
    (4096, 4096),
    bound="memory",
)
product(
    "outer: 4096 x 8 @ 8 x 4096", matmul, 2.0 * 8 * 4096**2, (4096, 8), (8, 4096), bound="memory"
)
product(
    "matvec 4096",
    matmul,
    2.0 * 4096**2,
    (4096, 4096),
    (4096,),
    bound="memory",
    share=0.8,
    gradient={},
)
product(
    "vecmat 4096",
    matmul,
    2.0 * 4096**2,
    (4096,),
    (4096, 4096),
    bound="memory",
    share=0.8,
    gradient={},
)
product(
    "dot, 16 M",
    matmul,
    2.0 * (1 << 24),
    (1 << 24,),
    (1 << 24,),
    bound="memory",
    share=0.8,
    gradient={},
)
for n, count in ((4, 100_000), (8, 30_000), (16, 8_000), (32, 2_000), (64, 512)):
    product(f"batched {count} x {n}x{n}", matmul, 2.0 * count * n**3, (count, n, n), (count, n, n))


def einsum(text, flops, *shapes, **fields):
    sizes = ", ".join("x".join(map(str, s)) for s in shapes)
    product(f"einsum {text}, {sizes}", lambda *x: jnp.einsum(text, *x), flops, *shapes, **fields)


einsum("bij,bjk->bik", 2.0 * 64 * 128**3, (64, 128, 128), (64, 128, 128))
einsum("bhqd,bhkd->bhqk", 2.0 * 32 * 256**2 * 64, (4, 8, 256, 64), (4, 8, 256, 64))
einsum("bqhd,bkhd->bhqk", 2.0 * 32 * 256**2 * 64, (4, 256, 8, 64), (4, 256, 8, 64))
einsum("bhqk,bkhd->bqhd", 2.0 * 32 * 256**2 * 64, (4, 8, 256, 256), (4, 256, 8, 64))
einsum("ij,jk,kl->il", 4.0 * 512**3, (512, 512), (512, 512), (512, 512))
einsum("ijk,jil->kl", 2.0 * 64**2 * 128**2, (64, 64, 128), (64, 64, 128))
einsum("i,j->ij", 4096.0**2, (4096,), (4096,), bound="memory")
einsum("ij,ij->i", 2.0 * 4096**2, (4096, 4096), (4096, 4096), bound="memory")
einsum("nchw,oc->nohw", 2.0 * 8 * 64 * 64 * 56 * 56, (8, 64, 56, 56), (64, 64))
