// Reads the arguments of a jitted call: its leaves as program operands, and the key that says
// which compiled program fits.
#pragma once

#include <vector>

#include "program.hpp"
#include "python.hpp"

namespace fornax {

// The key of one call. Words are compared as numbers: addresses of interned objects (settings,
// pytree structures, keyword names, abstract values), which the key keeps alive, and markers.
// Static arguments are compared by type and ==, or exactly.
struct CallKey {
  PyObject_HEAD
  uint64_t hash;
  std::vector<uintptr_t>* words;
  std::vector<PyObject*>* statics;
  std::vector<PyObject*>* objects;  // kept alive
  std::vector<Aval*>* avals;
  bool exact;
};

extern PyTypeObject* call_key_type;
extern PyObject* leaf_structure;  // of a tree that is a leaf

// Which arguments are part of the key by value instead of being traced.
struct Statics {
  std::vector<Py_ssize_t> positions;  // negative ones count from the end of the call
  std::vector<PyObject*> names;       // interned, owned
  bool exact = false;                 // whether 0.0 and -0.0, (1,) and (True,) are different
};

// The arguments of a call in the vectorcall convention.
struct Arguments {
  PyObject* const* values;
  Py_ssize_t positional;
  PyObject* names;  // tuple of str, or null
};

enum class Reading {
  keyed,    // the call has a key and all its leaves are operands
  unkeyed,  // some leaf or static argument cannot be part of a key; no error set
  failed,   // an error is set
};

class Call {
 public:
  Call() = default;
  ~Call() { clear(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  Reading read(const Arguments& arguments, const Statics& statics);
  void clear();

  // Hashes the key; false with an error set or, for an unhashable static argument, without.
  bool hash_key(uint64_t& hash) const;
  bool same_words(const CallKey& key) const;
  // 1 same, 0 different, -1 error: may run Python code.
  int same_statics(const CallKey& key) const;
  // New reference to a key object that outlives this call.
  PyObject* make_key(uint64_t hash) const;

  // One per leaf, in the order in which (args, kwargs) flatten without the static arguments.
  std::vector<Operand> operands;

 private:
  struct alignas(16) Scalar {
    char bytes[16];
  };

  Reading read_argument(PyObject* argument);
  Reading read_leaf(PyObject* leaf, Scalar& scalar, bool x64);
  Reading read_ndarray(PyObject* leaf, bool x64);
  Reading read_numpy_scalar(PyObject* leaf, Scalar& scalar, bool x64);
  Reading read_wrapped(PyObject* leaf);
  void add_scalar(Builtin which, const void* value, size_t bytes, Scalar& scalar);

  std::vector<uintptr_t> words_;
  std::vector<PyObject*> leaves_;   // owned
  std::vector<PyObject*> objects_;  // owned; those the key must keep alive
  std::vector<PyObject*> copies_;   // owned; what operands refer to and leaves do not hold
  std::vector<PyObject*> statics_;  // borrowed from the caller
  std::vector<Scalar> scalars_;
  bool exact_ = false;
};

// (leaf descriptions, structure, statics, settings); see JitFunction.key_description.
PyObject* describe_call(PyObject* args, PyObject* kwargs, const Statics& statics);

bool register_call_keys(PyObject* module);

}  // namespace fornax
