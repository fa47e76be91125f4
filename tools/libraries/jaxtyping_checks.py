"""jaxtyping: shapes and dtypes checked at run time by beartype and typeguard, also under jit."""

# ruff: noqa: F722
import json

import beartype
import jax
import jax.numpy as jnp
import typeguard
from jaxtyping import Array, Float, Int, Key, PyTree, Scalar, Shaped, jaxtyped

results = {}
for name, checker in (("beartype", beartype.beartype), ("typeguard", typeguard.typechecked)):

    @jaxtyped(typechecker=checker)
    def product(
        x: Float[Array, "rows inner"], y: Float[Array, "inner columns"]
    ) -> Float[Array, "rows columns"]:
        return x @ y

    right = jnp.ones((2, 3)), jnp.ones((3, 4))
    wrong = jnp.ones((2, 3)), jnp.ones((4, 3))
    refused = 0
    for function in (product, jax.jit(product)):
        for arguments in (wrong, (jnp.ones((2, 3), int), right[1])):
            try:
                function(*arguments)
            except Exception as error:
                refused += "check" in str(error)
    results[name] = [float(product(*right).sum()), float(jax.jit(product)(*right).sum()), refused]


@jaxtyped(typechecker=beartype.beartype)
def everything(
    tree: PyTree[Float[Array, "..."]],
    n: Int[Array, ""],
    key: Key[Array, ""],
    any_: Shaped[Array, "*n"],
) -> Scalar:
    return sum(jax.tree.leaves(jax.tree.map(jnp.sum, tree))) + n + any_.sum()


arguments = (
    {"a": jnp.ones(3), "b": [jnp.ones((2, 2))]},
    jnp.array(2),
    jax.random.key(0),
    jnp.ones(2),
)
results["everything"] = float(jax.jit(everything)(*arguments))
results["instances"] = [
    isinstance(jnp.ones(3), Float[Array, "3"]),
    isinstance(jnp.ones(3), Float[Array, "4"]),
    isinstance(jnp.ones(3), Int[Array, "3"]),
    isinstance(jnp.ones(3), jax.Array),
]
print(json.dumps(results))
