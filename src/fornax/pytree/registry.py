"""Which classes are pytree nodes: registration, and the registry object JAX's users pass around.

The table itself is native and shared by the whole process. `entries` keeps the same facts for the
reference implementation and for error messages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from fornax._native import PyTreeDef
from fornax._native import pytree as native
from fornax.source import located

from .keys import DictKey, FlattenedIndexKey, GetAttrKey, SequenceKey

__all__ = [
    "Registered",
    "Registry",
    "default_registry",
    "entries",
    "none_leaf_registry",
    "register_dataclass",
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
]

native.set_key_types(SequenceKey, DictKey, GetAttrKey, FlattenedIndexKey)

Class = TypeVar("Class", bound=type)
Leaf = Any


class Registered(NamedTuple):
    """How one registered class is taken apart and put together."""

    flatten: Callable[[Any], tuple[Iterable[Any], Any]]
    unflatten: Callable[[Any, Any], Any]
    flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]] | None = None
    fields: tuple[str, ...] | None = None  #: names of the children, where all instances share them


#: class -> how it was registered; written only by the functions below
entries: dict[type, Registered] = {}


def register_pytree_node(
    nodetype: type,
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_with_keys_func: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]] | None = None,
) -> None:
    """Makes instances of exactly `nodetype` pytree nodes.

    Args:
      nodetype: the class; subclasses are not affected.
      flatten_func: node -> (iterable of children, hashable metadata).
      unflatten_func: (metadata, tuple of children) -> node.
      flatten_with_keys_func: node -> (iterable of (key, child), metadata), for key paths.

    Raises ValueError when the class is registered already, TypeError when it is not a class.
    """
    native.register_node(nodetype, flatten_func, unflatten_func, flatten_with_keys_func)
    entries[nodetype] = Registered(flatten_func, unflatten_func, flatten_with_keys_func)


def register_pytree_node_class(cls: Class) -> Class:
    """Class decorator: registers a class by its methods `tree_flatten` and `tree_unflatten`.

    `tree_flatten(self)` returns (children, metadata); the class method
    `tree_unflatten(cls, metadata, children)` returns the node.
    """
    register_pytree_node(cls, _method(cls, "tree_flatten"), _method(cls, "tree_unflatten"))
    return cls


def register_pytree_with_keys(
    nodetype: type,
    flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]],
    unflatten_func: Callable[[Any, Any], Any],
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]] | None = None,
) -> None:
    """Like `register_pytree_node` for a class that names its children.

    `flatten_with_keys(node)` returns (iterable of (key, child), metadata); `flatten_func` may give
    the same children without keys, for speed.
    """
    if flatten_func is None:

        def flatten_func(node: Any) -> tuple[Iterable[Any], Any]:
            pairs, metadata = flatten_with_keys(node)
            return [child for _, child in pairs], metadata

    register_pytree_node(nodetype, flatten_func, unflatten_func, flatten_with_keys)


def register_pytree_with_keys_class(cls: Class) -> Class:
    """Class decorator: like `register_pytree_node_class`, with `tree_flatten_with_keys`.

    A method `tree_flatten`, where the class has one, serves the calls that need no keys.
    """
    register_pytree_with_keys(
        cls,
        _method(cls, "tree_flatten_with_keys"),
        _method(cls, "tree_unflatten"),
        _method(cls, "tree_flatten") if hasattr(cls, "tree_flatten") else None,
    )
    return cls


def _method(cls: type, name: str) -> Callable[..., Any]:
    method = getattr(cls, name, None)
    if method is None:
        raise AttributeError(
            located(
                f"{cls!r} has no method {name!r}, which registering it as a pytree node needs",
                attempt=f"define {name}, or register with functions: register_pytree_node(cls, "
                "flatten, unflatten)",
            )
        )
    return method  # type: ignore[no-any-return]


def register_static(cls: Class) -> Class:
    """Class decorator: instances have no children and are part of the tree structure themselves.

    They should be hashable, with an == that says when two structures are the same.
    """
    native.register_static(cls)
    entries[cls] = Registered(lambda node: ((), node), lambda node, _: node)
    return cls


def register_dataclass(
    nodetype: Class,
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> Class:
    """Registers a class whose children are attributes, rebuilt by `nodetype(**fields)`.

    Args:
      nodetype: a dataclass, or any class that takes the fields as keyword arguments.
      data_fields: names of the attributes that are children. Inferred for a dataclass: every
        field except those with `metadata={"static": True}`.
      meta_fields: names of the attributes that belong to the structure.
      drop_fields: names of fields to leave out; they need defaults.

    Raises TypeError when only one list is given, or none for a class that is no dataclass, and
    ValueError when the lists overlap, do not cover the fields of a dataclass, or the class is
    registered already.
    """
    data, meta = _split_fields(nodetype, data_fields, meta_fields, drop_fields)
    native.register_dataclass(nodetype, data, meta)

    def flatten(node: Any) -> tuple[Iterable[Any], Any]:
        return [getattr(node, n) for n in data], tuple(getattr(node, n) for n in meta)

    def flatten_with_keys(node: Any) -> tuple[Iterable[tuple[Any, Any]], Any]:
        children, metadata = flatten(node)
        return zip(map(GetAttrKey, data), children, strict=True), metadata

    def unflatten(metadata: Any, children: Any) -> Any:
        fields = zip((*data, *meta), (*children, *metadata), strict=True)
        return nodetype(**dict(fields))

    entries[nodetype] = Registered(flatten, unflatten, flatten_with_keys, data)
    return nodetype


def _split_fields(
    nodetype: Any,
    data_fields: Sequence[str] | None,
    meta_fields: Sequence[str] | None,
    drop_fields: Sequence[str],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    where = f"register_dataclass({getattr(nodetype, '__name__', nodetype)!s})"
    if (data_fields is None) != (meta_fields is None):
        raise TypeError(
            located(
                f"{where}: give both data_fields and meta_fields, or neither; got "
                f"data_fields={data_fields!r} and meta_fields={meta_fields!r}",
                attempt="data_fields=[arrays], meta_fields=[what is static and hashable]",
            )
        )
    is_dataclass = isinstance(nodetype, type) and dataclasses.is_dataclass(nodetype)
    if data_fields is None or meta_fields is None:
        if not is_dataclass:
            raise TypeError(
                located(
                    f"{where}: {nodetype!r} is no dataclass, so its fields cannot be inferred. "
                    "Give data_fields and meta_fields.",
                    attempt="register_dataclass(cls, data_fields=[...], meta_fields=[...])",
                )
            )
        fields = [f for f in dataclasses.fields(nodetype) if f.name not in drop_fields]
        data_fields = [f.name for f in fields if not f.metadata.get("static", False)]
        meta_fields = [f.name for f in fields if f.metadata.get("static", False)]
    data, meta = tuple(data_fields), tuple(meta_fields)
    if both := set(data) & set(meta):
        raise ValueError(
            located(
                f"{where}: fields in both data_fields and meta_fields: {sorted(both)}",
                attempt="keep each field in one of the two: arrays in data_fields, static values "
                "in meta_fields",
            )
        )
    if is_dataclass:
        expected = {f.name for f in dataclasses.fields(nodetype) if f.init} - set(drop_fields)
        if missing := expected - {*data, *meta}:
            raise ValueError(
                located(
                    f"{where}: fields in neither data_fields nor meta_fields: {sorted(missing)}. "
                    "Add them to one of the two, or to drop_fields if their defaults will do.",
                    attempt="put arrays into data_fields, static values into meta_fields, the "
                    "rest into drop_fields",
                )
            )
        if extra := {*data, *meta} - expected:
            raise ValueError(
                located(
                    f"{where}: the constructor takes no such fields: {sorted(extra)}. Fields with "
                    "init=False cannot be rebuilt; put them in drop_fields.",
                    attempt=f"drop_fields={sorted(extra)}, or a constructor that takes them",
                )
            )
    return data, meta


class Registry:
    """The table of node types as an object, with JAX's method names.

    There is one table; `none_is_leaf` says how this view of it treats None.
    """

    def __init__(self, *, none_is_leaf: bool = False) -> None:
        self.none_is_leaf = none_is_leaf

    def flatten(
        self, tree: Any, leaf_predicate: Callable[[Any], bool] | None = None
    ) -> tuple[list[Leaf], PyTreeDef]:
        """(leaves, structure) of `tree`."""
        return native.flatten(tree, leaf_predicate, self.none_is_leaf)

    def flatten_with_path(
        self, tree: Any, leaf_predicate: Callable[[Any, Any], bool] | None = None
    ) -> tuple[list[tuple[Any, Leaf]], PyTreeDef]:
        """([(key path, leaf)], structure); the predicate is called with (path, node)."""
        paths, leaves, structure = native.flatten_with_path(
            tree, leaf_predicate, self.none_is_leaf, True
        )
        return list(zip(paths, leaves, strict=True)), structure

    def flatten_one_level(self, tree: Any) -> tuple[list[Any], Hashable] | None:
        """(children, metadata) of a node, None for a leaf."""
        level = native.flatten_one_level(tree, False, self.none_is_leaf)
        return None if level is None else (level[0], level[2])

    def flatten_one_level_with_keys(self, tree: Any) -> tuple[Iterable[Any], Hashable] | None:
        """([(key, child)], metadata) of a node, None for a leaf."""
        level = native.flatten_one_level(tree, True, self.none_is_leaf)
        if level is None:
            return None
        return list(zip(level[1], level[0], strict=True)), level[2]

    def is_node(self, nodetype: type) -> bool:
        """Whether instances of exactly this class are nodes."""
        if self.none_is_leaf and nodetype is type(None):
            return False
        return native.is_node_type(nodetype)

    def register_node(
        self,
        nodetype: type,
        to_iterable: Callable[[Any], Any],
        from_iterable: Callable[[Any, Any], Any],
        to_iterable_with_keys: Callable[[Any], Any] | None = None,
    ) -> None:
        """See `register_pytree_node`."""
        register_pytree_node(nodetype, to_iterable, from_iterable, to_iterable_with_keys)

    def register_dataclass_node(
        self, nodetype: type, data_fields: Sequence[str], meta_fields: Sequence[str]
    ) -> None:
        """See `register_dataclass`."""
        register_dataclass(nodetype, data_fields, meta_fields)


default_registry = Registry()
none_leaf_registry = Registry(none_is_leaf=True)
