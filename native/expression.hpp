// Expressions of the loop IR: nodes that their builder interns, and walks over their graphs.
#pragma once

#include <utility>
#include <vector>

#include "python.hpp"

namespace fornax {

struct Expr;

// sum(coefficient * part) + constant, modulo 2^64. Parts are in the order of their numbers, each
// once, with coefficients other than 0. They are operands, near or far, of the node they belong to.
struct Form {
  std::vector<std::pair<Expr*, int64_t>> terms;
  int64_t constant = 0;
};

// An integer dtype (bool among them).
struct Integer {
  PyObject* name;  // interned
  int width;
  bool is_signed;
};

// One typed scalar; `fornax.compiler.loop.ir` says what kinds there are and what they hold.
struct Expr {
  PyObject_HEAD
  PyObject* kind;   // interned str, as `dtype` and names of operations: compared by address
  PyObject* dtype;
  PyObject* data;
  PyObject* args;   // tuple of Expr
  const Integer* integer;  // null for floats and what exists in memory only
  uint64_t low;     // bounds of an integer's value, as bits of its dtype widened to 64
  uint64_t high;
  Form* form;       // owned; null unless it is a sum of several parts or a multiple
  Py_ssize_t number;
  Py_hash_t hash;   // of all fields, not of the object: that is its address
  uint64_t mark;    // the walk that was here last

  Py_ssize_t operands() const { return PyTuple_GET_SIZE(args); }
  Expr* operand(Py_ssize_t k) const { return reinterpret_cast<Expr*>(PyTuple_GET_ITEM(args, k)); }
};

inline Expr* as_expr(PyObject* object) { return reinterpret_cast<Expr*>(object); }
inline PyObject* as_object(Expr* node) { return reinterpret_cast<PyObject*>(node); }
bool is_expr(PyObject* object);

// Names that are compared by address.
struct Names {
  PyObject *op, *const_, *axis, *param, *carry, *reduce, *load, *int64, *add, *sub, *mul, *neg,
      *abs, *min, *max, *idiv, *imod, *rem, *div, *select, *rarely, *cast, *popcount, *clz,
      *shr_logical, *shr_arithmetic, *and_, *eq, *ne, *lt, *le, *gt, *ge, *is_finite, *bool_,
      *extent;
};
extern Names names;

inline bool is_op(const Expr* node, PyObject* name) {
  return node->kind == names.op && node->data == name;
}
inline bool is_const(const Expr* node) { return node->kind == names.const_; }

// The table of a builder. It owns its nodes, so that what is borrowed from it lives as long.
struct Nodes {
  PyObject_HEAD
  std::vector<Expr*> all;    // in the order of their numbers
  std::vector<Expr*> table;  // open addressing; a power of two, at most half full
};

// Borrowed: the node with these fields. `kind`, `dtype` and operations' names are interned.
Expr* intern(Nodes* nodes, PyObject* kind, PyObject* dtype, PyObject* data, PyObject* args);
// The constant int64 of a value, and an operation of int64.
Expr* index_of(Nodes* nodes, int64_t value);
Expr* operation(Nodes* nodes, PyObject* name, Expr* x, Expr* y);
// The value of a constant of an integer dtype, as its bits; -1 with an error set.
int64_t value_of(const Expr* constant);

// --- affine.cpp ---
// The bounds of a new node of an integer dtype; false with an error set.
bool set_bounds(Expr* node);
PyObject* bound_object(const Expr* node, uint64_t bound);

extern PyMethodDef affine_functions[];
// The builder that is the first argument of a function; null with an error set.
Nodes* builder_of(PyObject* object);

bool register_expressions(PyObject* module);

}  // namespace fornax
