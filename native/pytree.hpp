// Pytrees for the native core: nested containers taken apart into leaves and a structure, and back.
//
// Everything here needs the GIL. The Python side is src/fornax/pytree.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cstddef>
#include <vector>

namespace fornax {

// Appends the leaves of `tree` to `leaves` as owned references and stores a new reference to its
// structure in `*structure_out` (pass nullptr when only the leaves are wanted). Structures of
// equal shape and equal metadata come back as one object for as long as somebody holds it, so
// pointer comparison is enough for a cache key that keeps the structure alive.
// Returns false with a Python exception set, and with `leaves` as it was before the call.
bool flatten_leaves(PyObject* tree, std::vector<PyObject*>& leaves, PyObject** structure_out);

// Rebuilds the tree that `structure` (a PyTreeDef) describes from `count` borrowed leaves.
// Returns a new reference, or nullptr with an exception set (ValueError for a wrong count).
PyObject* unflatten(PyObject* structure, PyObject* const* leaves, std::size_t count);

// True when `object` is a PyTreeDef.
bool is_structure(PyObject* object);

// Adds PyTreeDef and the namespace `pytree` to the extension module. Returns 0, or -1 on error.
int register_pytree(PyObject* module);

}  // namespace fornax
