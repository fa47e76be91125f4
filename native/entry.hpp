// The link between a call key and the compiled program that serves it.
#pragma once

#include <vector>

#include "call_key.hpp"

namespace fornax {

// What a compiled call needs: which leaves go in, and the tree to build from what comes out.
struct Entry {
  PyObject_HEAD
  PyObject* program;
  PyObject* kept;           // tuple of int
  PyObject* extra;          // tuple of Array
  PyObject* out_structure;
  PyObject* donated;        // tuple of bool
  PyObject* wraps;          // tuple of callable or None, one per output; empty when all are None
  std::vector<uint32_t>* leaves;
  std::vector<bool>* donations;
  size_t leaves_needed;     // calls it serves have at least this many
  bool returns_leaf;        // the result is the single output itself
};

extern PyTypeObject* entry_type;
inline Entry* as_entry(PyObject* object) { return reinterpret_cast<Entry*>(object); }

// Runs the entry's program on the leaves of a call and builds the result. New reference.
PyObject* run_entry(const Entry* entry, const Call& call);

bool register_entries(PyObject* module);

}  // namespace fornax
