"""Expressions over `jax`, by subject: options of jit and vmap, checkpoint, loops, collectives."""

COLLECTIVES = (
    "jax.lax.psum(x, 'i')", "jax.lax.pmean(x, 'i')", "jax.lax.pmax(x, 'i')",
    "jax.lax.pmin(x, 'i')", "jax.lax.all_gather(x, 'i')", "jax.lax.all_gather(x, 'i', axis=1)",
    "jax.lax.all_gather(x, 'i', tiled=True)", "jax.lax.psum_scatter(x, 'i')",
    "jax.lax.psum_scatter(x, 'i', tiled=True)", "jax.lax.all_to_all(x, 'i', 0, 0)",
    "jax.lax.psum_scatter(x, 'i', scatter_dimension=1, tiled=True)",
    "jax.lax.all_to_all(x, 'i', 0, 1)", "jax.lax.all_to_all(x, 'i', 1, 0, tiled=True)",
    "jax.lax.all_to_all(x, 'i', 0, 0, tiled=True)",
    "jax.lax.ppermute(x, 'i', [(0, 1), (1, 2), (2, 0)])",
    "jax.lax.ppermute(x, 'i', [(0, 1)])", "jax.lax.pshuffle(x, 'i', [2, 0, 1])",
    "jax.lax.axis_index('i') * x", "jax.lax.axis_size('i') * x",
    "jax.lax.pbroadcast(x, 'i', 1)", "jax.lax.psum(1, 'i') * x",
    "jax.lax.psum({'a': x, 'n': 2}, 'i')", "jax.lax.psum(x, ('i',))", "jax.lax.psum(x, (0, 'i'))",
    "jax.lax.pmean({'a': x, 'n': 2}, 'i')",
)  # fmt: skip
GROUPS = "axis_index_groups=[[0], [1, 2]]"
NAMES = (
    "jax.lax.psum(x, 'missing')", "jax.lax.axis_index('missing')", "jax.lax.psum(x, 0)",
    "jax.lax.ppermute(x, 'i', [(0, 1), (0, 2)])", "jax.lax.ppermute(x, 'i', [(0, 7)])",
    "jax.lax.pshuffle(x, 'i', [0, 0, 1])", "jax.lax.all_to_all(x, 'i', 1, 0)",
    "jax.lax.psum_scatter(x, 'i', scatter_dimension=1)", f"jax.lax.psum(x, 'i', {GROUPS})",
    "jax.lax.psum(x, 'i', axis_index_groups=[[0, 1]])", "jax.lax.psum(x, 7)",
    "jax.lax.pmean(x, 0)", "jax.lax.psum_scatter(x, 0)", "jax.lax.axis_index(0)",
    "jax.lax.psum((2, True, 2.5, np.int8(3)), 'i')", "jax.lax.pmax((2, True, 2.5), 'i')",
    "jax.lax.pmean((2, True, 2.5, np.int8(3)), 'i')", "jax.lax.psum(x, (0, 0))",
    "jax.lax.psum(x, (0, 'i'), axis_index_groups=[[0], [1, 2]])", "jax.lax.pmax(x, (0, 'i'))",
)  # fmt: skip
SQUARE = "np.arange(27.0, dtype='f').reshape(3, 3, 3)"
TRANSFORMS = (
    "jax.jvp(lambda x: {f}, ({x},), (np.cos({x}),))",
    "jax.vjp(lambda x: {f}, {x})[1](jax.tree.map(jax.numpy.ones_like, ({f_of})({x})))",
    "jax.vmap(lambda x: {f})(np.stack([{x}, 2 * {x}]))",
    "jax.vmap(lambda x: {f}, 1, 1)(np.stack([{x}, 2 * {x}], 1))",
    "jax.jit(lambda x: {f})({x})",
    "jax.jacfwd(lambda x: {f})({x})",
    "jax.jacrev(lambda x: {f})({x})",
)


def under_transforms(function: str, x: str, chosen=TRANSFORMS) -> list[str]:
    """A function of x under every transformation."""
    return [t.format(f=function, x=x, f_of=f"lambda x: {function}") for t in chosen]


LOOPS = (
    "composed.recurrence(jax, x, composed.M[:, :3])",
    "composed.recurrence(jax, x, composed.M, reverse=True)",
    "composed.recurrence(jax, x, composed.M, unroll=2)",
    "composed.recurrence(jax, x, composed.M, unroll=True)",
    "composed.recurrence(jax, x, composed.M, _split_transpose=True)",
    "jax.lax.map(lambda y: jax.numpy.sin(y) * x.sum(), x)",
    "jax.lax.map(lambda y: jax.numpy.sin(y) * x.sum(), x, batch_size=2)",
    "jax.lax.associative_scan(lambda a, b: a * b, x)",
    "jax.lax.associative_scan(lambda a, b: a * b, x, reverse=True)",
    "jax.lax.fori_loop(0, 3, lambda i, c: c * x + i, x)",
    "composed.branch(jax, x.sum() > 0, x, 2 * x)",
    "jax.lax.switch((x.sum() * 2).astype(int), [lambda y: y, lambda y: y * y, lambda y: -y], x)",
    "jax.lax.cond(x[0] > 1, lambda: x, lambda: 2 * x)",
    "jax.lax.platform_dependent(x, default=lambda y: y * 2)",
)
COUNTED = "composed.until_large(jax, x, 2.0, 30.0)[0]"
FORWARD = tuple(t for t in TRANSFORMS if "vjp" not in t and "jacrev" not in t)

MORE_EXPRESSIONS = {
    "jit options": [
        "jax.jit(lambda x, n: x * n, static_argnums=1)(2.0, 3)",
        "jax.jit(lambda x, n: x * n, static_argnums=-1)(2.0, 3)",
        "jax.jit(lambda x, n: x * n, static_argnums=(1, 1))(2.0, 3)",
        "jax.jit(lambda x, n: x * n, static_argnums=2)(2.0, 3)",
        "jax.jit(lambda x, n: x * n, static_argnames='n')(2.0, n=3)",
        "jax.jit(lambda x, n: x * n, static_argnames='n')(2.0, 3)",
        "jax.jit(lambda x, n: x * n, static_argnames='m')(2.0, 3)",
        "jax.jit(lambda x, n: x * n, static_argnames=('n', 'x'))(2.0, 3)",
        "jax.jit(lambda x, n: x * n[0], static_argnums=1)(2.0, [3])",
        "jax.jit(lambda x, n: x * n, static_argnums=1)(2.0, np.ones(3, 'f'))",
        "jax.jit(lambda x, n: x * n, static_argnums='1')(2.0, 3)",
        "jax.jit(lambda x, y: x, keep_unused=True)(2.0, 3)",
        "jax.jit(lambda x, y: x, inline=True)(2.0, 3)",
        "jax.grad(jax.jit(lambda x: x**2, inline=True))(3.0)",
        "jax.vmap(jax.jit(lambda x, y: x, keep_unused=True))(np.ones(2), np.ones(2))",
        "jax.jit(lambda x: x * 2, donate_argnums=0)(jax.numpy.ones(3))",
        "jax.jit(lambda x: x * 2, donate_argnames='x')(x=jax.numpy.ones(3))",
        "jax.jit(lambda x: x * 2, donate_argnames='y')(jax.numpy.ones(3))",
        "jax.jit(lambda x: x * 2, donate_argnums=3)(jax.numpy.ones(3))",
        "jax.jit(lambda x, n: x * n, static_argnums=1, donate_argnums=1)(1.0, 2)",
        "(lambda x: (jax.jit(lambda y: y * 2, donate_argnums=0)(x), x.is_deleted()))"
        "(jax.numpy.ones(3))",
        "(lambda x: (jax.jit(lambda y: y * 2, donate_argnums=0)(x), x + 1))(jax.numpy.ones(3))",
        "jax.jit(lambda *a, **k: (a, k))(1, 2.0, k=3j)",
        "jax.jit(lambda d: d['a'] + 1)({'a': 1, 'b': None})",
        "jax.jit(lambda x: None)(1)",
        "jax.jit(lambda x: 'a')(1)",
        "jax.jit(lambda x: x)('a')",
        "jax.jit(lambda x: x if x > 0 else -x)(1.0)",
        "jax.jit(lambda x: float(x))(1.0)",
        "jax.jit(lambda x: int(x))(1)",
        "jax.jit(lambda x: np.asarray(x))(1.0)",
        "jax.jit(lambda x: x[jax.numpy.arange(3)[x > 0]])(np.ones(3, 'f'))",
        "jax.jit(lambda x: jax.numpy.arange(x))(3)",
        "jax.jit(3)(1)",
        "jax.jit(lambda x: x, static_argnums=0)(1.0)",
        "jax.jit(lambda n: n + 1, static_argnums=0)(np.float32(1))",
        "jax.jit(lambda x: (x, True, 2, 3.0, 4j, np.int8(5)))(1.0)",
        "jax.jit(jax.jit(lambda x: x * 2))(1)",
        "jax.jit(lambda x: x.at[0].set(5))(np.zeros(3, np.int8))",
        "jax.eval_shape(lambda x: x @ x, jax.ShapeDtypeStruct((3, 3), 'float32')).shape",
        "jax.eval_shape(lambda x: x @ x, jax.ShapeDtypeStruct((3, 2), 'float32'))",
        "jax.jit(lambda x: jax.named_scope('a')(lambda y: y * 2)(x))(1.0)",
        "jax.named_call(lambda x: x * 2, name='a')(1.0)",
        "jax.grad(jax.named_call(lambda x: x * 2, name='a'))(1.0)",
        "jax.jit(lambda x: composed.compile_time(jax, 3) * x)(1.0)",
        "jax.jit(lambda x: composed.compile_time(jax, x))(1.0)",
        "jax.vmap(lambda x: composed.compile_time(jax, 3) * x)(np.ones(3, 'f'))",
        "jax.grad(lambda x: composed.scoped(jax, x))(2.0)",
        "jax.jit(lambda x: composed.scoped(jax, x))(2.0)",
    ],
    "vmap options": [
        "jax.vmap(lambda x, y: x + y, (0, 1))(np.ones((2, 3), 'f'), np.ones((3, 2), 'f'))",
        "jax.vmap(lambda x, y: x + y, (0, None))(np.ones((2, 3), 'f'), 2.0)",
        "jax.vmap(lambda x, y: x + y, (0, -1), -1)(np.ones((2, 3), 'f'), np.ones((3, 2), 'f'))",
        "jax.vmap(lambda x, y: x + y, [0, 1])(np.ones((2, 3), 'f'), np.ones((3, 2), 'f'))",
        "jax.vmap(lambda d: d['a'] + d['b'], ({'a': 0, 'b': None},))"
        "({'a': np.ones(3, 'f'), 'b': 2.0})",
        "jax.vmap(lambda d: d['a'] + d['b'], {'a': 0, 'b': None})"
        "({'a': np.ones(3, 'f'), 'b': 2.0})",
        "jax.vmap(lambda x: {'a': x, 'b': 2 * x}, out_axes={'a': 0, 'b': 1})(np.ones((3, 2), 'f'))",
        "jax.vmap(lambda x: (x, 1.0), out_axes=(0, None))(np.ones(3, 'f'))",
        "jax.vmap(lambda x: (x, x), out_axes=(0, None))(np.ones(3, 'f'))",
        "jax.vmap(lambda x: 1.0)(np.ones(3, 'f'))",
        "jax.vmap(lambda x: 1)(np.ones(3, 'f'))",
        "jax.vmap(lambda: 1.0, axis_size=3)()",
        "jax.vmap(lambda x: x, None, axis_size=3)(1.0)",
        "jax.vmap(lambda x: x, None)(1.0)",
        "jax.vmap(lambda x: x, axis_size=4)(np.ones(3, 'f'))",
        "jax.vmap(lambda x: x)(1.0)",
        "jax.vmap(lambda x, y: x)(np.ones(3), np.ones(4))",
        "jax.vmap(lambda x: x, 2)(np.ones((3, 2)))",
        "jax.vmap(lambda x: x, -3)(np.ones((3, 2)))",
        "jax.vmap(lambda x: x, (0, 0))(np.ones((3, 2)))",
        "jax.vmap(lambda x: x, 'a')(np.ones((3, 2)))",
        "jax.vmap(lambda x: x, 0.5)(np.ones((3, 2)))",
        "jax.vmap(lambda x: x, out_axes=3)(np.ones((3, 2)))",
        "jax.vmap(lambda x: x, out_axes=(0, 0))(np.ones((3, 2)))",
        "jax.vmap(lambda x, k: x * k)(np.ones(3, 'f'), k=np.ones(3, 'f'))",
        "jax.vmap(lambda x, k: x * k, (0,))(np.ones(3, 'f'), k=np.ones((3, 2), 'f'))",
        "jax.vmap(lambda x: x, 0)()",
        "jax.vmap(lambda x: x, 0)([])",
        "jax.vmap(lambda x: x)(jax.numpy.ones((0, 3)))",
        "jax.vmap(lambda x: jax.vmap(lambda y: x * y)(np.ones(2, 'f')))(np.ones(3, 'f'))",
        "jax.vmap(lambda x: x * jax.lax.axis_index('i'), axis_name='i')(np.ones(3, 'f'))",
        "jax.vmap(jax.vmap(lambda x: jax.lax.psum(x, ('i', 'j')), axis_name='j'), axis_name='i')"
        "(np.ones((3, 2), 'f'))",
        "jax.vmap(jax.vmap(lambda x: jax.lax.axis_index(('i', 'j')), axis_name='j'), axis_name='i')"
        "(np.ones((3, 2), 'f'))",
        "jax.vmap(lambda x: jax.vmap(lambda y: jax.lax.psum(y, 'i'), axis_name='i')(x),"
        " axis_name='i')(np.ones((3, 2), 'f'))",
        "jax.vmap(lambda x: x, spmd_axis_name='s')(np.ones(3, 'f'))",
        "jax.vmap(jax.vmap(lambda x: x * 2, spmd_axis_name='s'), spmd_axis_name='t')"
        "(np.ones((3, 2), 'f'))",
        "jax.grad(lambda x: jax.vmap(lambda y: jax.numpy.sin(y), spmd_axis_name='s')(x).sum())"
        "(np.ones(3, 'f'))",
        "jax.vmap(lambda k: jax.random.normal(k, (2,)))(jax.random.split(jax.random.key(0), 3))",
    ],
    "checkpoint": [
        *(
            f"jax.grad(composed.named(jax, {policy}))(composed.M)"
            for policy in (
                "None", "jax.checkpoint_policies.everything_saveable",
                "jax.checkpoint_policies.nothing_saveable", "jax.checkpoint_policies.dots_saveable",
                "jax.checkpoint_policies.dots_with_no_batch_dims_saveable",
                "jax.checkpoint_policies.save_only_these_names('y')",
                "jax.checkpoint_policies.save_any_names_but_these('y')",
                "jax.checkpoint_policies.save_anything_except_these_names('z')",
                "jax.checkpoint_policies.save_from_both_policies("
                "jax.checkpoint_policies.dots_saveable,"
                " jax.checkpoint_policies.save_only_these_names('y'))",
                "lambda prim, *_, **params: False", "lambda *_, **__: True",
                "lambda: True", "3",
            )
        ),  # fmt: skip
        "composed.named(jax)(composed.M)",
        "jax.jit(jax.grad(composed.named(jax, prevent_cse=False)))(composed.M)",
        "jax.vmap(jax.grad(composed.named(jax)))(np.stack([composed.M, 2 * composed.M]))",
        "jax.hessian(composed.named(jax))(composed.X[None])",
        "jax.jvp(composed.named(jax), (composed.M,), (composed.M,))",
        "jax.grad(jax.checkpoint(lambda x, n: x * n, static_argnums=(1,)))(2.0, 3)",
        "jax.grad(jax.checkpoint(lambda x, n: x * n, static_argnums=(-1,)))(2.0, 3)",
        "jax.grad(jax.checkpoint(lambda x, n: x * n[0], static_argnums=(1,)))(2.0, [3])",
        "jax.checkpoint(lambda x, n: x * n, static_argnums=(5,))(2.0, 3)",
        "jax.checkpoint(lambda x, n: x if n else -x)(2.0, True)",
        "jax.checkpoint(lambda x, n: x if n else -x, static_argnums=(1,))(2.0, True)",
        "jax.checkpoint(lambda x: (x, {'a': 1}))(2.0)",
        "jax.checkpoint(lambda x: 'a')(2.0)",
        "jax.checkpoint(lambda x: x, concrete=True)(2.0)",
        "jax.checkpoint(3)(2.0)",
        "jax.grad(jax.checkpoint(jax.checkpoint(lambda x: jax.numpy.sin(jax.numpy.sin(x)))))(2.0)",
        "jax.grad(lambda x: jax.lax.scan(jax.checkpoint(lambda c, w: (jax.numpy.sin(c * w), c)),"
        " x, composed.X)[0])(2.0)",
        "jax.ad_checkpoint.checkpoint_name({'a': 1.0, 'b': np.ones(2, 'f')}, 'n')",
        "jax.grad(lambda x: jax.ad_checkpoint.checkpoint_name(x, 'n') ** 2)(3.0)",
        "jax.vmap(lambda x: jax.ad_checkpoint.checkpoint_name(x, 'n') ** 2)(composed.X)",
    ],
    "loops, values": [f"(lambda x: {text})(composed.X)" for text in (*LOOPS, COUNTED)],
    "loops, transformed": [
        *(e for text in LOOPS for e in under_transforms(text, "composed.X")),
        *under_transforms(COUNTED, "composed.X", FORWARD),
    ],
    "loops, predicates that are mapped": [
        "jax.vmap(lambda x: jax.lax.while_loop(lambda c: c < 10, lambda c: c * x, x))"
        "(np.array([2.0, 3.0, 11.0], 'f'))",
        "jax.vmap(lambda x, n: jax.lax.fori_loop(0, n, lambda i, c: c * x, 1.0))"
        "(composed.X, np.array([1, 0, 3], 'i'))",
        "jax.vmap(lambda p, x: jax.lax.cond(p, lambda y: y * 2, lambda y: -y, x))"
        "(np.array([True, False]), composed.X[:2])",
        "jax.vmap(jax.grad(lambda x: jax.lax.cond(x > 0, lambda y: y * y, lambda y: -y, x)))"
        "(composed.X)",
        "jax.vmap(lambda i, x: jax.lax.switch(i, [lambda y: y, lambda y: y * y, lambda y: -y], x))"
        "(np.array([-1, 1, 7], 'i'), composed.X)",
        "jax.jvp(jax.vmap(lambda x: jax.lax.while_loop(lambda c: c < 10, lambda c: c * x, x)),"
        " (np.array([2.0, 3.0], 'f'),), (np.ones(2, 'f'),))",
        "jax.grad(lambda x: jax.lax.while_loop(lambda c: c < 10, lambda c: c * x, x))(2.0)",
        "jax.grad(lambda x: jax.lax.fori_loop(0, 3, lambda i, c: c * x, x))(2.0)",
        "jax.grad(lambda x: jax.lax.fori_loop(0, jax.numpy.asarray(3), lambda i, c: c * x, x))"
        "(2.0)",
        "jax.jit(jax.grad(lambda x, n: jax.lax.fori_loop(0, n, lambda i, c: c * x, x)))(2.0, 3)",
        "jax.vmap(lambda x: jax.lax.scan(lambda c, y: (c + y, c * x), x, composed.X))(composed.X)",
        "jax.vmap(lambda c, xs: jax.lax.scan(lambda c, y: (c + y, c), c, xs), (0, 1))"
        "(composed.X, composed.X[None])",
        "jax.vmap(lambda p: jax.lax.cond(p, lambda: 1.0, lambda: 2.0))(np.array([True, False]))",
    ],
    "loops, arguments": [
        "jax.lax.scan(lambda c, x: (c + x, c), 0.0, composed.X)",
        "jax.lax.scan(lambda c, x: (c + x, c), 0, composed.X)",
        "jax.lax.scan(lambda c, x: (c + 1, None), 0, None, length=4)",
        "jax.lax.scan(lambda c, x: (c + 1, None), 0, composed.X, length=4)",
        "jax.lax.scan(lambda c, x: (c + 1, None), 0, None)",
        "jax.lax.scan(lambda c, x: (c, None), 0, 3.0)",
        "jax.lax.scan(lambda c, x: (c, None), 0, (composed.X, composed.M))",
        "jax.lax.scan(lambda c, x: c, 0, composed.X)",
        "jax.lax.scan(lambda c, x: (c, c, c), 0, composed.X)",
        "jax.lax.scan(lambda c, x: ((c, c), c), 0, composed.X)",
        "jax.lax.scan(lambda c, x: (c[None], c), 0.0, composed.X)",
        "jax.lax.scan(lambda c, x: (c * 1j, c), np.float32(0), composed.X)",
        "jax.lax.scan(lambda c, x: (c, x), 0.0, composed.X, unroll=0)",
        "jax.lax.scan(lambda c, x: (c, x), 0.0, composed.X, unroll=-1)",
        "jax.lax.scan(lambda c, x: (c, x), 0.0, composed.X, unroll=5)",
        "jax.lax.scan(lambda c, x: (c, x), 0.0, composed.X, unroll=2.0)",
        "jax.lax.scan(lambda c, x: (c, x), 0.0, composed.X, unroll=False)",
        "jax.lax.scan(lambda c, x: (c + x, c), 0.0, np.zeros((0,), 'f'))",
        "jax.lax.scan(3, 0.0, composed.X)",
        "jax.lax.map(lambda x: x * 2, composed.X, batch_size=5)",
        "jax.lax.map(lambda x: x * 2, composed.M, batch_size=0)",
        "jax.lax.map(lambda x: {'a': x[0], 'b': x[1].sum()}, (composed.M[0], composed.M.T),"
        " batch_size=2)",
        "jax.lax.associative_scan(lambda a, b: a + b, composed.M, axis=1)",
        "jax.lax.associative_scan(lambda a, b: a + b, composed.M, axis=-1, reverse=True)",
        "jax.lax.associative_scan(lambda a, b: a + b, composed.M, axis=2)",
        "jax.lax.associative_scan(lambda a, b: a + b, (composed.M, composed.M), axis=0)",
        "jax.lax.associative_scan(lambda a, b: (a[0] + b[0], a[1] * b[1]),"
        " (composed.X, composed.X))",
        "jax.lax.associative_scan(jax.numpy.matmul, np.stack([np.eye(2, dtype='f')] * 5) * 2)",
        "jax.lax.associative_scan(lambda a, b: a + b, (composed.X, composed.M))",
        "jax.lax.associative_scan(3, composed.X)",
        "jax.lax.while_loop(lambda c: c, lambda c: False, True)",
        "jax.lax.while_loop(lambda c: c < 3, lambda c: c + 1.5, 0)",
        "jax.lax.while_loop(lambda c: c < 3, lambda c: c + 1, 0.0)",
        "jax.lax.while_loop(lambda c: (c < 3, c), lambda c: c + 1, 0)",
        "jax.lax.while_loop(lambda c: c, lambda c: c + 1, 0)",
        "jax.lax.while_loop(lambda c: c < composed.X, lambda c: c + 1, 0)",
        "jax.lax.while_loop(lambda c: c < 3, lambda c: (c, c), 0)",
        "jax.lax.while_loop(3, lambda c: c, 0)",
        "jax.lax.cond(True, lambda x: x, lambda x: x * 1j, 1.0)",
        "jax.lax.cond(True, lambda x: x, lambda x: (x,), 1.0)",
        "jax.lax.cond(True, lambda x: x, lambda x: x[None], 1.0)",
        "jax.lax.cond(1, lambda x: x, lambda x: -x, 1.0)",
        "jax.lax.cond(0.5, lambda x: x, lambda x: -x, 1.0)",
        "jax.lax.cond(1j, lambda x: x, lambda x: -x, 1.0)",
        "jax.lax.cond(np.array([True]), lambda x: x, lambda x: -x, 1.0)",
        "jax.lax.cond('a', lambda x: x, lambda x: -x, 1.0)",
        "jax.lax.cond(None, lambda x: x, lambda x: -x, 1.0)",
        "jax.lax.cond(True, 1.0, lambda x: x, 2.0, lambda x: -x)",
        "jax.lax.cond(True, lambda: 1, lambda: 2)",
        "jax.lax.cond(True, lambda: 1, lambda: 2.0)",
        "jax.lax.cond(True, lambda: np.float32(1), lambda: 2.0)",
        "jax.lax.cond(True, lambda x, y: x, lambda x, y: y, 1.0, 2)",
        "jax.lax.cond(True, lambda x: x, operand=1.0, false_fun=lambda x: x)",
        "jax.lax.cond(True, 3, lambda x: x, 1.0)",
        "jax.lax.switch(1, [lambda x: x, lambda x: -x], 1.0)",
        "jax.lax.switch(9, [lambda x: x, lambda x: -x], 1.0)",
        "jax.lax.switch(-9, [lambda x: x, lambda x: -x], 1.0)",
        "jax.lax.switch(True, [lambda x: x, lambda x: -x], 1.0)",
        "jax.lax.switch(1.0, [lambda x: x, lambda x: -x], 1.0)",
        "jax.lax.switch(np.array([1]), [lambda x: x, lambda x: -x], 1.0)",
        "jax.lax.switch(0, [], 1.0)",
        "jax.lax.switch(5, [lambda x: x], 1.0)",
        "jax.lax.switch(np.uint8(1), [lambda x: x, lambda x: -x], 1.0)",
        "jax.lax.fori_loop(0.0, 3.7, lambda i, c: c + i, 0.0)",
        "jax.lax.fori_loop(np.int8(0), np.int8(3), lambda i, c: (i * 1, c[1] + i), (0, 0.0))",
        "jax.lax.fori_loop(np.int8(0), 3, lambda i, c: (i, c[1] + 1), (np.int8(0), 0.0))",
        "jax.lax.fori_loop(np.uint8(0), 3, lambda i, c: c + 1, 0.0)",
        "jax.lax.fori_loop(0, True, lambda i, c: c + 1, 0.0)",
        "jax.lax.fori_loop(0, float('inf'), lambda i, c: c + 1, 0.0)",
        "jax.lax.fori_loop(0j, 3 + 0j, lambda i, c: c + 1, 0.0)",
        "jax.lax.fori_loop(np.zeros(2, 'i'), 3, lambda i, c: c + 1, 0.0)",
        "jax.lax.fori_loop(3, 0, lambda i, c: c + 1, 0.0)",
        "jax.lax.fori_loop(0, 3, lambda i, c: c + 1, 0.0, unroll=2)",
        "jax.jit(lambda n: jax.lax.fori_loop(0, n, lambda i, c: c + 1, 0.0, unroll=2))(3)",
        "jax.jit(lambda n: jax.lax.fori_loop(0, n, lambda i, c: i, 0))(np.int16(3))",
        "jax.jit(lambda n: jax.lax.fori_loop(0.0, n, lambda i, c: i, 0.0))(3.5)",
    ],
    "collectives": [
        f"jax.vmap(lambda x: {text}, axis_name='i')({SQUARE})" for text in (*COLLECTIVES, *NAMES)
    ],
    "collectives, transformed": [
        *(
            e
            for text in COLLECTIVES
            if "'n'" not in text and "pmax" not in text and "pmin" not in text
            for e in under_transforms(
                f"jax.vmap(lambda x: {text}, axis_name='i')(x)", f"np.sin({SQUARE})",
                TRANSFORMS[:5],
            )
        ),
        *(
            f"jax.vmap(jax.grad(lambda x: ({text}).sum()), axis_name='i')({SQUARE})"
            for text in COLLECTIVES
            if "'n'" not in text
        ),
    ],
}  # fmt: skip
