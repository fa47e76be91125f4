"""Options of transformations where Fornax once differed from jax, as expressions over `jax`."""

OPTION_EXPRESSIONS = {
    "types of linear maps": [
        "jax.linear_transpose(lambda x: (x * 2, x.sum()), jax.ShapeDtypeStruct((3,), 'float32'))"
        "((np.ones(3, 'f'), 2.0))",
        "jax.linear_transpose(lambda x: (x * 2, 3), 1.0)((1.0, 3))",
        "jax.linear_transpose(lambda x, y: x, 1.0, 2)(1.0)",
        "jax.linear_transpose(lambda x: x.astype('int32'), 1.0)(1)",
        "jax.jacfwd(lambda x: np.int32(3))(composed.X)",
    ],
    "float0": [
        *(
            f"(lambda z: {call})(np.zeros(3, jax.dtypes.float0))"
            for call in (
                "jax.numpy.asarray(z).shape", "jax.numpy.zeros_like(z).dtype == z.dtype",
                "jax.numpy.stack([z, z]).shape", "jax.numpy.concatenate([z, z]).shape",
                "jax.numpy.reshape(z, (3, 1)).shape", "jax.device_put(z).shape",
                "jax.numpy.add(z, 1)", "jax.numpy.add(z, z)", "jax.numpy.sin(z)",
                "jax.numpy.sum(z)", "jax.numpy.negative(z)", "jax.lax.add(z, z)",
            )
        ),
    ],
    "rules": [
        "jax.grad(jax.custom_jvp(lambda x, n: x * n, nondiff_argnums=(1,)), 1)(1.0, 2.0)",
        "(lambda f: (f.defjvp(lambda n, p, t: (p[0] * n, t[0] * 9 * n)),"
        " jax.grad(f, (0, 1))(1.0, 2.0), jax.jit(jax.grad(f))(1.0, 2.0))[1:])"
        "(jax.custom_jvp(lambda x, n: x * n, nondiff_argnums=(1,)))",
        "jax.grad(lambda x: jax.custom_derivatives.linear_call(lambda r, x: x * 2,"
        " lambda r, t: np.ones(3, 'f'), (), x))(1.0)",
    ],
    "strict promotion": [
        *(
            f"jax.numpy_dtype_promotion('strict')(lambda: {call})()"
            for call in (
                "jax.numpy.ones(2, 'int32') + 1", "jax.numpy.ones(2, 'int32') + 1.0",
                "jax.numpy.ones(2) + 1", "jax.numpy.ones(2) + 1j", "jax.numpy.ones(2) * 2.0",
                "jax.numpy.ones(2, 'complex64') * 2.0", "jax.numpy.bool_(True) & 1",
                "jax.numpy.maximum(np.arange(2, dtype='int32'), 1.5)",
                "jax.numpy.add(1, 2.0)", "jax.numpy.ones(2, 'int8') + jax.numpy.ones(2, 'int16')",
            )
        ),
    ],
    "jit": [
        "jax.jit(lambda x: x, backend='gpuu')(1.0)",
        "jax.jit(lambda x: x, backend='cpu', device=jax.devices()[0])(1.0)",
        "jax.lax.scan(lambda c, x: (c + x, c), 0.0, composed.X, unroll=1.5)",
    ],
    "keys are no numbers": [
        *(
            f"(lambda k: {call})(jax.random.split(jax.random.key(0)))"
            for call in (
                "jax.numpy.sum(k)", "jax.numpy.sort(k)", "k.at[0].add(k[1])", "jax.numpy.dot(k, k)",
                "k[0] == k[0]", "k[0] != k[1]",
            )
        ),
        "jax.random.fold_in(jax.random.key(0), -1)",
    ],
    "integers that do not fit": [
        "jax.numpy.asarray(-1, 'uint32')", "jax.numpy.uint8(-1)", "jax.numpy.uint8(300)",
        "jax.numpy.array([-1, 2], 'uint8')", "jax.numpy.full(2, -1, 'uint8')",
        "jax.numpy.zeros(2, 'uint8') + (-1)", "jax.numpy.zeros(2, 'uint8').at[0].set(-1)",
        "jax.numpy.asarray(np.int32(-1), 'uint8')",
        "jax.lax.collapse(np.ones((2, 3, 4), 'f'), 2, 1)",
        "jax.lax.integer_pow(np.ones(2, 'f'), 1.5)",
    ],
    "what must be static": [
        *(
            f"jax.jit(lambda n: {call})(1)"
            for call in (
                "jax.numpy.tri(3, 3, n)", "jax.numpy.tri(2, 3, n + 1, 'int8')",
                "jax.numpy.pad(np.ones(3), n)", "jax.numpy.pad(np.ones(3), ((n, 0),))",
                "jax.numpy.split(np.arange(4), [n])", "jax.numpy.split(np.arange(4), 2, n)",
                "jax.ops.segment_sum(np.ones(3), np.arange(3), n)", "np.ones((2, 2)).min(n)",
            )
        ),
        "jax.jit(lambda n: jax.numpy.split(np.arange(4), n))(np.array([1]))",
    ],
    "ranges, orders, dtypes": [
        *(
            f"jax.numpy.arange({given})"
            for given in (
                "None", "None, 3", "0, None", "stop=3", "start=3", "np.array([3])", "0, np.ones(2)",
                "[1, 2]", "'3'", "3 + 0j", "1j, 3", "True", "2, dtype=bool", "0, 2, 1, dtype=bool",
                "3, dtype='complex64'", "np.float32(2.5)", "jax.numpy.asarray(3)", "np.nan",
            )
        ),
        *(
            f"jax.numpy.asarray(np.eye(2)).{call}"
            for call in (
                "ravel('K')", "flatten('K')", "ravel('A')", "ravel('z')", "reshape(4, order='K')",
                "astype(jax.numpy.ones(2))", "astype(np.ones(2))",
            )
        ),
        "jax.numpy.zeros(3, jax.numpy.ones(2))",
        "jax.numpy.full_like(np.ones(2), 1, np.ones(2))",
    ],
    "types and ratios": [
        *(
            f"(lambda t: (jax.numpy.ones(t.shape, t.dtype), t.weak_type))(jax.typeof({what}))"
            for what in (
                "jax.ShapeDtypeStruct((2, 3), 'float32')", "jax.ShapeDtypeStruct((), 'float64')",
                "jax.ShapeDtypeStruct((), 'float32', weak_type=True)", "1.0", "'a'", "None", "[1]",
            )
        ),
        *(
            f"jax.numpy.linalg.lstsq(np.float32([[1, 2], [3, 4], [5, 6]]), np.float32([1, 2, 3]), "
            f"{rcond})[1:]"
            for rcond in ("0.3", "np.array([0.3])", "np.array([0.3, 0.1])", "np.array([])", "'x'")
        ),
        "jax.vmap(lambda r: jax.numpy.linalg.lstsq(np.float32([[1, 2], [3, 4]]), np.ones(2, 'f'), "
        "r)[2])(np.float32([0.3, 0.01]))",
    ],
}  # fmt: skip
