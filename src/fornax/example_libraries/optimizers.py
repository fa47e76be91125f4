"""Optimizers as three functions on trees of parameters.

    init, update, get_params = adam(1e-3)
    state = init(params)
    state = update(step, gradients, state)
    params = get_params(state)

A state is a tree, so that it can be passed through `jit`.
"""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import fornax.numpy as fnp
from fornax import pytree
from fornax.source import located

__all__ = [
    "JoinPoint", "Optimizer", "OptimizerState", "adagrad", "adam", "adamax", "clip_grads",
    "constant", "exponential_decay", "inverse_time_decay", "l2_norm", "make_schedule", "momentum",
    "nesterov", "optimizer", "pack_optimizer_state", "piecewise_constant", "polynomial_decay",
    "rmsprop", "rmsprop_momentum", "sgd", "sm3", "unpack_optimizer_state",
]  # fmt: skip

Schedule = Callable[[Any], Any]

#: the leaves of the states of all parameters, and the structures to put them together
OptimizerState = namedtuple("OptimizerState", ["packed_state", "tree_def", "subtree_defs"])
pytree.register_pytree_node(
    OptimizerState,
    lambda state: ((state.packed_state,), (state.tree_def, state.subtree_defs)),
    lambda structures, children: OptimizerState(children[0], *structures),
)


class Optimizer(NamedTuple):
    """The functions of an optimizer: parameters -> state; (step, gradients, state) -> state; state
    -> parameters."""

    init_fn: Callable[[Any], Any]
    update_fn: Callable[[Any, Any, Any], Any]
    params_fn: Callable[[Any], Any]


def optimizer(opt_maker: Callable[..., Any]) -> Callable[..., Optimizer]:
    """Decorator: makes of an optimizer for one array one for trees of arrays.

    opt_maker: gives (init, update, get_params) for a single array, whose state is any tree. The
    update raises TypeError for gradients of another structure than the parameters.
    """

    @functools.wraps(opt_maker)
    def maker(*args: Any, **kwargs: Any) -> Optimizer:
        init, update, get_params = opt_maker(*args, **kwargs)

        @functools.wraps(init)
        def tree_init(x0_tree: Any) -> OptimizerState:
            leaves, structure = pytree.tree_flatten(x0_tree)
            return _packed([init(x) for x in leaves], structure)

        @functools.wraps(update)
        def tree_update(i: Any, grad_tree: Any, opt_state: OptimizerState) -> OptimizerState:
            gradients, found = pytree.tree_flatten(grad_tree)
            if found != opt_state.tree_def:
                raise TypeError(
                    located(
                        "optimizer update function was passed a gradient tree that did not match "
                        "the parameter tree structure with which it was initialized: parameter "
                        f"tree {opt_state.tree_def} and grad tree {found}.",
                        attempt="gradients from grad of the parameters that init got",
                    )
                )
            states = [update(i, g, s) for g, s in zip(gradients, _states(opt_state), strict=True)]
            new = _packed(states, found)
            for before, after in zip(opt_state.subtree_defs, new.subtree_defs, strict=True):
                if before != after:
                    raise TypeError(
                        located(
                            "optimizer update function produced an output structure that did not "
                            f"match its input structure: input {before} and output {after}.",
                            attempt="return the state with as many parts, in the same "
                            "containers, as it came",
                        )
                    )
            return new

        @functools.wraps(get_params)
        def tree_get_params(opt_state: OptimizerState) -> Any:
            return pytree.tree_unflatten(opt_state.tree_def, map(get_params, _states(opt_state)))

        return Optimizer(tree_init, tree_update, tree_get_params)

    return maker


def _packed(states: Sequence[Any], structure: Any) -> OptimizerState:
    pairs = [pytree.tree_flatten(state) for state in states]
    return OptimizerState(
        tuple(leaves for leaves, _ in pairs), structure, tuple(tree for _, tree in pairs)
    )


def _states(state: OptimizerState) -> list[Any]:
    pairs = zip(state.subtree_defs, state.packed_state, strict=True)
    return [pytree.tree_unflatten(structure, leaves) for structure, leaves in pairs]


def _with_buffers(count: int, update: Callable[..., Any]) -> tuple[Any, Any, Any]:
    """The functions of an optimizer whose state is the array and `count` others like it."""

    def init(x0: Any) -> Any:
        return (x0, *(fnp.zeros_like(x0) for _ in range(count)))

    return init, update, lambda state: state[0]


@optimizer
def sgd(step_size):
    """Steps against the gradient. step_size: a number, or a function of the step."""
    step_size = make_schedule(step_size)
    return (lambda x0: x0), (lambda i, g, x: x - step_size(i) * g), (lambda x: x)


@optimizer
def momentum(step_size, mass):
    """Steps along a velocity, of which `mass` is left at every step."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, velocity = state
        velocity = mass * velocity + g
        return x - step_size(i) * velocity, velocity

    return _with_buffers(1, update)


@optimizer
def nesterov(step_size, mass):
    """Momentum that looks one step ahead."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, velocity = state
        velocity = mass * velocity + g
        return x - step_size(i) * (mass * velocity + g), velocity

    return _with_buffers(1, update)


@optimizer
def adagrad(step_size, momentum=0.9):
    """Steps divided by the root of the sum of all squared gradients so far."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, total, m = state
        total += fnp.square(g)
        scale = fnp.where(total > 0, 1.0 / fnp.sqrt(total), 0.0)
        m = (1.0 - momentum) * (g * scale) + momentum * m
        return x - step_size(i) * m, total, m

    return _with_buffers(2, update)


@optimizer
def rmsprop(step_size, gamma=0.9, eps=1e-8):
    """Steps divided by the root of a running mean of squared gradients."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, mean = state
        mean = mean * gamma + fnp.square(g) * (1.0 - gamma)
        return x - step_size(i) * g / fnp.sqrt(mean + eps), mean

    return _with_buffers(1, update)


@optimizer
def rmsprop_momentum(step_size, gamma=0.9, eps=1e-8, momentum=0.9):
    """`rmsprop` along a velocity."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, mean, velocity = state
        mean = mean * gamma + fnp.square(g) * (1.0 - gamma)
        velocity = momentum * velocity + step_size(i) * g / fnp.sqrt(mean + eps)
        return x - velocity, mean, velocity

    return _with_buffers(2, update)


@optimizer
def adam(step_size, b1=0.9, b2=0.999, eps=1e-8):
    """Steps along a running mean of gradients, divided by the root of one of their squares."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, m, v = state
        m = (1 - b1) * g + b1 * m
        v = (1 - b2) * fnp.square(g) + b2 * v
        first = m / (1 - fnp.asarray(b1, m.dtype) ** (i + 1))
        second = v / (1 - fnp.asarray(b2, m.dtype) ** (i + 1))
        return x - step_size(i) * first / (fnp.sqrt(second) + eps), m, v

    return _with_buffers(2, update)


@optimizer
def adamax(step_size, b1=0.9, b2=0.999, eps=1e-8):
    """`adam` with the largest of recent gradients in the place of the mean square."""
    step_size = make_schedule(step_size)

    def update(i, g, state):
        x, m, u = state
        m = (1 - b1) * g + b1 * m
        u = fnp.maximum(b2 * u, fnp.abs(g))
        rate = step_size(i) / (1 - fnp.asarray(b1, m.dtype) ** (i + 1))
        return x - rate * m / (u + eps), m, u

    return _with_buffers(2, update)


@optimizer
def sm3(step_size, momentum=0.9):
    """`adagrad` that keeps one number per row, column, … in the place of one per element."""
    step_size = make_schedule(step_size)

    def init(x0):
        shape = x0.shape
        x0 = fnp.atleast_1d(x0)
        return x0, fnp.zeros_like(x0), [fnp.zeros(n, dtype=x0.dtype) for n in x0.shape], shape

    def update(i, g, state):
        x, m, lines, shape = state
        rank = g.ndim
        spread = [
            v.reshape([-1 if k == axis else 1 for k in range(rank)]) for axis, v in enumerate(lines)
        ]
        total = functools.reduce(fnp.minimum, spread) + fnp.square(g)
        scale = fnp.where(total > 0, 1.0 / fnp.sqrt(total), 0)
        m = (1.0 - momentum) * (g * scale) + momentum * m
        axes = range(x.ndim)
        lines = [total.max(tuple(k for k in axes if k != axis)) for axis in axes]
        return x - step_size(i) * m, m, lines, shape

    return init, update, lambda state: state[0].reshape(state[3])


# --- step sizes ---------------------------------------------------------------------------------
def constant(step_size: Any) -> Schedule:
    """The same size at every step."""
    return lambda i: step_size


def exponential_decay(step_size: Any, decay_steps: Any, decay_rate: Any) -> Schedule:
    """Multiplied by decay_rate every decay_steps steps, smoothly."""
    return lambda i: step_size * decay_rate ** (i / decay_steps)


def inverse_time_decay(
    step_size: Any, decay_steps: Any, decay_rate: Any, staircase: bool = False
) -> Schedule:
    """Divided by 1 + decay_rate i / decay_steps; staircase: only after whole decay_steps."""
    if staircase:
        return lambda i: step_size / (1 + decay_rate * fnp.floor(i / decay_steps))
    return lambda i: step_size / (1 + decay_rate * i / decay_steps)


def polynomial_decay(
    step_size: Any, decay_steps: Any, final_step_size: Any, power: Any = 1.0
) -> Schedule:
    """From step_size to final_step_size in decay_steps steps, along a power of what is left."""

    def schedule(i: Any) -> Any:
        left = (1 - fnp.minimum(i, decay_steps) / decay_steps) ** power
        return left * (step_size - final_step_size) + final_step_size

    return schedule


def piecewise_constant(boundaries: Any, values: Any) -> Schedule:
    """values[k] after the k-th boundary has been passed. Raises ValueError unless there is one
    value more than boundaries."""
    boundaries, values = fnp.array(boundaries), fnp.array(values)
    if not boundaries.ndim == values.ndim == 1:
        raise ValueError(
            located(
                "boundaries and values must be sequences",
                attempt="piecewise_constant([100, 200], [1e-2, 1e-3, 1e-4])",
            )
        )
    if boundaries.shape[0] != values.shape[0] - 1:
        raise ValueError(
            located(
                "boundaries length must be one shorter than values length",
                attempt="one value more than there are boundaries: piecewise_constant([100], "
                "[1e-2, 1e-3])",
            )
        )
    return lambda i: values[fnp.sum(i > boundaries)]


def make_schedule(scalar_or_schedule: Any) -> Schedule:
    """A function of the step from itself or from a number. Raises TypeError for other arrays."""
    if callable(scalar_or_schedule):
        return scalar_or_schedule
    if fnp.ndim(scalar_or_schedule) == 0:
        return constant(scalar_or_schedule)
    raise TypeError(
        located(
            f"a schedule is a scalar or a function, got {type(scalar_or_schedule)}",
            attempt="a number, or a function of the step",
        )
    )


# --- trees --------------------------------------------------------------------------------------
def l2_norm(tree: Any) -> Any:
    """The length of a tree of arrays, taken as one vector."""
    return fnp.sqrt(sum(fnp.vdot(x, x) for x in pytree.tree_leaves(tree)))


def clip_grads(grad_tree: Any, max_norm: Any) -> Any:
    """The gradients, made shorter if they are longer than max_norm."""
    norm = l2_norm(grad_tree)
    return pytree.tree_map(
        lambda g: fnp.where(norm < max_norm, g, g * (max_norm / norm)), grad_tree
    )


class JoinPoint:
    """Where the state of one parameter hangs in the tree of parameters; iterating gives it."""

    def __init__(self, subtree: Any):
        self.subtree = subtree

    def __iter__(self):
        yield self.subtree


def unpack_optimizer_state(opt_state: OptimizerState) -> Any:
    """The tree of parameters with a `JoinPoint` of its state in the place of each.

    Raises TypeError for anything but an `OptimizerState`.
    """
    if not isinstance(opt_state, OptimizerState):
        raise TypeError(
            located(
                f"unpack_optimizer_state needs an OptimizerState, got {type(opt_state).__name__}",
                attempt="the state that the optimizer's init or update function gave",
            )
        )
    return pytree.tree_unflatten(opt_state.tree_def, map(JoinPoint, _states(opt_state)))


def pack_optimizer_state(marked_pytree: Any) -> OptimizerState:
    """The state of an optimizer from what `unpack_optimizer_state` gave.

    Raises TypeError for a tree with a leaf that is no `JoinPoint`.
    """
    points, structure = pytree.tree_flatten(marked_pytree)
    for point in points:
        if not isinstance(point, JoinPoint):
            raise TypeError(
                located(
                    f"pack_optimizer_state: a leaf is a {type(point).__name__}, no JoinPoint",
                    "the states of the parameters stand in JoinPoints",
                    "the tree that unpack_optimizer_state gives, with other states in it",
                )
            )
    return _packed([point.subtree for point in points], structure)
