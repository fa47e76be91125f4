#include "expression.hpp"

#include <structmember.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <vector>

#include "refusal.hpp"

namespace fornax {

namespace {

PyTypeObject* expr_type = nullptr;
PyTypeObject* nodes_type = nullptr;

Integer integers[] = {
    {nullptr, 8, false},  {nullptr, 8, true},   {nullptr, 16, true},
    {nullptr, 32, true},  {nullptr, 64, true},  {nullptr, 8, false},
    {nullptr, 16, false}, {nullptr, 32, false}, {nullptr, 64, false},
};
const char* const integer_names[] = {"bool",  "int8",   "int16",  "int32", "int64",
                                     "uint8", "uint16", "uint32", "uint64"};

const Integer* integer_of(PyObject* dtype) {
  for (const Integer& integer : integers)
    if (integer.name == dtype) return &integer;
  return nullptr;
}

// --- nodes ---
Expr* new_expr(PyObject* kind, PyObject* dtype, PyObject* data, PyObject* args, Py_hash_t hash,
               Py_ssize_t number) {
  auto* made = PyObject_GC_New(Expr, expr_type);
  if (!made) return nullptr;
  made->kind = Py_NewRef(kind);
  made->dtype = Py_NewRef(dtype);
  made->data = Py_NewRef(data);
  made->args = Py_NewRef(args);
  made->integer = integer_of(dtype);
  made->low = made->high = 0;
  made->form = nullptr;
  made->number = number;
  made->hash = hash;
  made->mark = 0;
  PyObject_GC_Track(as_object(made));
  return made;
}

int expr_traverse(PyObject* self, visitproc visit, void* arg) {
  Expr* node = as_expr(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(node->data);
  Py_VISIT(node->args);
  return 0;
}

int expr_clear(PyObject* self) {
  Expr* node = as_expr(self);
  Py_CLEAR(node->data);
  Py_CLEAR(node->args);
  return 0;
}

// Graphs are as deep as programs are long: the trashcan bounds the recursion.
void expr_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  Py_TRASHCAN_BEGIN(self, expr_dealloc);
  Expr* node = as_expr(self);
  expr_clear(self);
  Py_CLEAR(node->kind);
  Py_CLEAR(node->dtype);
  delete node->form;
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_Del(self);
  Py_DECREF(type);
  Py_TRASHCAN_END;
}

PyObject* expr_repr(PyObject* self) {
  Expr* node = as_expr(self);
  return PyUnicode_FromFormat("<%S %S %S #%zd>", node->kind, node->data, node->dtype,
                              node->number);
}

// A load that carries a mask and the value to use where the mask is false.
PyObject* expr_masked(PyObject* self, void*) {
  Expr* node = as_expr(self);
  if (node->kind != names.load) Py_RETURN_FALSE;
  Ref shape = Ref::steal(PyObject_GetAttrString(node->data, "shape"));
  Py_ssize_t rank = shape ? PyObject_Size(shape.get()) : -1;
  return rank < 0 ? nullptr : PyBool_FromLong(PyTuple_GET_SIZE(node->args) == rank + 2);
}

PyObject* expr_low(PyObject* self, void*) { return bound_object(as_expr(self), as_expr(self)->low); }

PyObject* expr_high(PyObject* self, void*) {
  return bound_object(as_expr(self), as_expr(self)->high);
}

PyGetSetDef expr_attributes[] = {
    {"low", expr_low, nullptr, "The least value of an integer or bool; others: TypeError.",
     nullptr},
    {"high", expr_high, nullptr, "The largest value of an integer or bool; others: TypeError.",
     nullptr},
    {"masked", expr_masked, nullptr,
     "A load that carries a mask and the value to use where the mask is false.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef expr_members[] = {
    {"kind", T_OBJECT, offsetof(Expr, kind), READONLY, nullptr},
    {"dtype", T_OBJECT, offsetof(Expr, dtype), READONLY, nullptr},
    {"data", T_OBJECT, offsetof(Expr, data), READONLY, nullptr},
    {"args", T_OBJECT, offsetof(Expr, args), READONLY, nullptr},
    {"number", T_PYSSIZET, offsetof(Expr, number), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot expr_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(expr_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(expr_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(expr_clear)},
    {Py_tp_repr, reinterpret_cast<void*>(expr_repr)},
    {Py_tp_members, expr_members},
    {Py_tp_getset, expr_attributes},
    {0, nullptr},
};

PyType_Spec expr_spec = {
    "fornax._native.Expr", sizeof(Expr), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, expr_slots};

// --- the table of a builder ---
Nodes* as_nodes(PyObject* object) { return reinterpret_cast<Nodes*>(object); }

PyObject* nodes_new(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  new (&as_nodes(self)->all) std::vector<Expr*>();
  new (&as_nodes(self)->table) std::vector<Expr*>(64);
  return self;
}

int nodes_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  for (Expr* node : as_nodes(self)->all) Py_VISIT(as_object(node));
  return 0;
}

// Users go before operands, so that nothing is freed from within something else.
int nodes_clear(PyObject* self) {
  std::vector<Expr*> all;
  all.swap(as_nodes(self)->all);
  as_nodes(self)->table.assign(64, nullptr);
  for (size_t k = all.size(); k-- > 0;) Py_DECREF(as_object(all[k]));
  return 0;
}

void nodes_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  nodes_clear(self);
  as_nodes(self)->all.~vector();
  as_nodes(self)->table.~vector();
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* nodes_count(PyObject* self, void*) {
  return PyLong_FromSize_t(as_nodes(self)->all.size());
}

// Floats by their bits, all NaNs alike: 0.0 and -0.0 differ.
uint64_t bits_of(PyObject* number) {
  double value = PyFloat_AS_DOUBLE(number);
  return value != value ? ~uint64_t{0} : std::bit_cast<uint64_t>(value);
}

bool hash_of(PyObject* kind, PyObject* dtype, PyObject* data, PyObject* args, Py_hash_t* result) {
  uint64_t hash = 0;
  auto mix = [&](uint64_t part) { hash = (std::rotl(hash, 5) ^ part) * 0x9e3779b97f4a7c15u; };
  mix(std::bit_cast<uint64_t>(kind));
  mix(std::bit_cast<uint64_t>(dtype));
  if (PyFloat_CheckExact(data)) {
    mix(bits_of(data));
  } else {
    Py_hash_t found = PyObject_Hash(data);
    if (found == -1) return false;
    mix(static_cast<uint64_t>(found));
  }
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(args); ++k)
    mix(std::bit_cast<uint64_t>(PyTuple_GET_ITEM(args, k)));
  *result = static_cast<Py_hash_t>(hash ^ (hash >> 32));
  return true;
}

// 1 if equal, 0 if not, -1 with an error set.
int same_data(PyObject* a, PyObject* b) {
  if (a == b) return 1;
  if (PyFloat_CheckExact(a) || PyFloat_CheckExact(b))
    return PyFloat_CheckExact(a) && PyFloat_CheckExact(b) && bits_of(a) == bits_of(b);
  return PyObject_RichCompareBool(a, b, Py_EQ);
}

bool same_args(PyObject* a, PyObject* b) {
  Py_ssize_t size = PyTuple_GET_SIZE(a);
  if (size != PyTuple_GET_SIZE(b)) return false;
  for (Py_ssize_t k = 0; k < size; ++k)
    if (PyTuple_GET_ITEM(a, k) != PyTuple_GET_ITEM(b, k)) return false;
  return true;
}

// Where a node of these fields is, or would be, in the table; null with an error set.
Expr** find(Nodes* nodes, PyObject* kind, PyObject* dtype, PyObject* data, PyObject* args,
            Py_hash_t hash) {
  size_t mask = nodes->table.size() - 1;
  for (size_t k = static_cast<size_t>(hash) & mask;; k = (k + 1) & mask) {
    Expr* other = nodes->table[k];
    if (!other) return &nodes->table[k];
    if (other->hash != hash || other->kind != kind || other->dtype != dtype ||
        !same_args(other->args, args))
      continue;
    int same = same_data(other->data, data);
    if (same < 0) return nullptr;
    if (same) return &nodes->table[k];
  }
}

void grow(Nodes* nodes) {
  std::vector<Expr*> larger(nodes->table.size() * 2);
  size_t mask = larger.size() - 1;
  for (Expr* node : nodes->all) {
    size_t k = static_cast<size_t>(node->hash) & mask;
    while (larger[k]) k = (k + 1) & mask;
    larger[k] = node;
  }
  nodes->table.swap(larger);
}

PyObject* empty_tuple() {
  static PyObject* empty = PyTuple_New(0);
  return empty;
}

PyObject* nodes_node(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  PyObject* args = count == 4 ? arguments[3] : empty_tuple();
  if (count < 3 || count > 4 || !PyUnicode_CheckExact(arguments[0]) ||
      !PyUnicode_CheckExact(arguments[1]) || !PyTuple_Check(args))
    return bug(PyExc_TypeError, "node(kind, dtype, data, args) takes two str and a tuple");
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(args); ++k)
    if (!is_expr(PyTuple_GET_ITEM(args, k)))
      return bug(PyExc_TypeError, "an operand of a node is %R, no expression",
                 PyTuple_GET_ITEM(args, k));
  PyObject* interned[3] = {};
  Ref kept[3];
  for (int k = 0; k < 3; ++k) {
    interned[k] = Py_NewRef(arguments[k]);
    if (PyUnicode_CheckExact(interned[k])) PyUnicode_InternInPlace(&interned[k]);
    kept[k] = Ref::steal(interned[k]);
  }
  Expr* node = intern(as_nodes(self), interned[0], interned[1], interned[2], args);
  return node ? Py_NewRef(as_object(node)) : nullptr;
}

PyObject* nodes_index(PyObject* self, PyObject* value) {
  if (is_expr(value)) return Py_NewRef(value);
  Ref number = Ref::steal(PyNumber_Index(value));
  if (!number) return nullptr;
  Expr* node = intern(as_nodes(self), names.const_, names.int64, number.get(), empty_tuple());
  return node ? Py_NewRef(as_object(node)) : nullptr;
}

PyObject* nodes_axis(PyObject* self, PyObject* axis) {
  Ref extent = Ref::steal(PyObject_GetAttr(axis, names.extent));
  if (!extent) return nullptr;
  Expr* node = PyLong_Check(extent.get()) && PyLong_AsLongLong(extent.get()) == 1
                   ? index_of(as_nodes(self), 0)
                   : intern(as_nodes(self), names.axis, names.int64, axis, empty_tuple());
  return node ? Py_NewRef(as_object(node)) : nullptr;
}

PyMethodDef nodes_methods[] = {
    {"node", method(nodes_node), METH_FASTCALL,
     "node(kind, dtype, data, args=(), /)\n--\n\nThe interned node with these fields."},
    {"index", nodes_index, METH_O, "index(value, /)\n--\n\nAn int64 expression from an int."},
    {"axis", nodes_axis, METH_O,
     "axis(axis, /)\n--\n\nThe value of a loop variable. A loop of one iteration is the constant 0."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef nodes_attributes[] = {
    {"count", nodes_count, nullptr, "How many nodes there are.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot nodes_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(nodes_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(nodes_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(nodes_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(nodes_clear)},
    {Py_tp_methods, nodes_methods},
    {Py_tp_getset, nodes_attributes},
    {0, nullptr},
};

PyType_Spec nodes_spec = {
    "fornax._native.Nodes", sizeof(Nodes), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, nodes_slots};

// --- walks ---
uint64_t walks = 0;

// Operands before users. Walks that a `stop` starts may wipe out marks of this one: what is then
// found twice is next to itself.
void in_order(std::vector<Expr*>& nodes) {
  std::sort(nodes.begin(), nodes.end(), [](Expr* a, Expr* b) {
    return a->number != b->number ? a->number < b->number : std::less<Expr*>()(a, b);
  });
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
}

void push_args(std::vector<Expr*>& stack, Expr* node) {
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(node->args); ++k)
    stack.push_back(as_expr(PyTuple_GET_ITEM(node->args, k)));
}

PyObject* reachable(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count < 1 || count > 2)
    return bug(PyExc_TypeError, "reachable(roots, stop) takes one or two arguments");
  Ref roots = as_sequence(arguments[0], nullptr, "roots");
  if (!roots) return nullptr;
  PyObject* stop = count == 2 && arguments[1] != Py_None ? arguments[1] : nullptr;
  std::vector<Expr*> stack, found;
  for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(roots.get()); ++k) {
    PyObject* root = PySequence_Fast_GET_ITEM(roots.get(), k);
    if (!is_expr(root)) return bug(PyExc_TypeError, "a root is %R, no expression", root);
    stack.push_back(as_expr(root));
  }
  uint64_t walk = ++walks;
  while (!stack.empty()) {
    Expr* node = stack.back();
    stack.pop_back();
    if (node->mark == walk) continue;
    node->mark = walk;
    found.push_back(node);
    if (PyTuple_GET_SIZE(node->args) == 0) continue;
    if (stop) {
      Ref stops = Ref::steal(PyObject_CallOneArg(stop, as_object(node)));
      int answer = stops ? PyObject_IsTrue(stops.get()) : -1;
      if (answer < 0) return nullptr;
      if (answer) continue;
    }
    push_args(stack, node);
  }
  in_order(found);
  PyObject* result = PyList_New(static_cast<Py_ssize_t>(found.size()));
  for (size_t k = 0; result && k < found.size(); ++k)
    PyList_SET_ITEM(result, static_cast<Py_ssize_t>(k), Py_NewRef(as_object(found[k])));
  return result;
}

PyObject* rewritten(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 3 || !is_expr(arguments[0]) || !PyDict_Check(arguments[1]))
    return bug(PyExc_TypeError, "rewritten(root, memo, rebuild) takes an expression and a dict");
  PyObject *root = arguments[0], *memo = arguments[1], *rebuild = arguments[2];
  PyObject* known = PyDict_GetItemWithError(memo, root);
  if (known) return Py_NewRef(known);
  std::vector<Expr*> stack{as_expr(root)}, missing;
  uint64_t walk = ++walks;
  while (!stack.empty()) {
    Expr* node = stack.back();
    stack.pop_back();
    if (node->mark == walk) continue;
    node->mark = walk;
    int there = PyDict_Contains(memo, as_object(node));
    if (there < 0) return nullptr;
    if (there) continue;
    missing.push_back(node);
    push_args(stack, node);
  }
  in_order(missing);
  for (Expr* node : missing) {
    Py_ssize_t size = PyTuple_GET_SIZE(node->args);
    Ref args = Ref::steal(size ? PyTuple_New(size) : Py_NewRef(empty_tuple()));
    if (!args) return nullptr;
    for (Py_ssize_t k = 0; k < size; ++k) {
      PyObject* copy = PyDict_GetItemWithError(memo, PyTuple_GET_ITEM(node->args, k));
      if (!copy) return bug(PyExc_KeyError, "%R is read before it is copied", as_object(node));
      PyTuple_SET_ITEM(args.get(), k, Py_NewRef(copy));
    }
    PyObject* both[] = {as_object(node), args.get()};
    Ref made = Ref::steal(PyObject_Vectorcall(rebuild, both, 2, nullptr));
    if (!made || PyDict_SetItem(memo, as_object(node), made.get()) < 0) return nullptr;
  }
  known = PyDict_GetItemWithError(memo, root);
  return known ? Py_NewRef(known) : bug(PyExc_KeyError, "%R was not copied", root);
}

PyMethodDef functions[] = {
    {"reachable", method(reachable), METH_FASTCALL,
     "reachable(roots, stop=None, /)\n--\n\n"
     "All nodes below `roots`, operands before users. Operands of a node for which stop(node)\n"
     "holds are not entered."},
    {"rewritten", method(rewritten), METH_FASTCALL,
     "rewritten(root, memo, rebuild, /)\n--\n\n"
     "The copy of `root`: memo[node] = rebuild(node, copies of its operands) for all nodes below\n"
     "it that `memo` does not have, operands first."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

Names names;

bool is_expr(PyObject* object) { return Py_TYPE(object) == expr_type; }

Expr* intern(Nodes* nodes, PyObject* kind, PyObject* dtype, PyObject* data, PyObject* args) {
  Py_hash_t hash = 0;
  if (!hash_of(kind, dtype, data, args, &hash)) return nullptr;
  Expr** place = find(nodes, kind, dtype, data, args, hash);
  if (!place || *place) return place ? *place : nullptr;
  Expr* made = new_expr(kind, dtype, data, args, hash, static_cast<Py_ssize_t>(nodes->all.size()));
  if (!made) return nullptr;
  if (made->integer && !set_bounds(made)) {
    Py_DECREF(as_object(made));
    return nullptr;
  }
  nodes->all.push_back(made);
  *place = made;
  if (nodes->all.size() * 2 > nodes->table.size()) grow(nodes);
  return made;
}

Expr* index_of(Nodes* nodes, int64_t value) {
  Ref number = Ref::steal(PyLong_FromLongLong(value));
  return number ? intern(nodes, names.const_, names.int64, number.get(), empty_tuple()) : nullptr;
}

Expr* operation(Nodes* nodes, PyObject* name, Expr* x, Expr* y) {
  if (!x || !y) return nullptr;
  Ref args = Ref::steal(PyTuple_Pack(2, as_object(x), as_object(y)));
  return args ? intern(nodes, names.op, names.int64, name, args.get()) : nullptr;
}

int64_t value_of(const Expr* constant) {
  return static_cast<int64_t>(PyLong_AsUnsignedLongLongMask(constant->data));
}

Nodes* builder_of(PyObject* object) {
  if (PyObject_TypeCheck(object, nodes_type)) return as_nodes(object);
  bug(PyExc_TypeError, "%R is no builder of expressions", object);
  return nullptr;
}

bool register_expressions(PyObject* module) {
  auto name = [](PyObject*& place, const char* text) {
    return (place = PyUnicode_InternFromString(text)) != nullptr;
  };
  const std::pair<PyObject**, const char*> all[] = {
      {&names.op, "op"}, {&names.const_, "const"}, {&names.axis, "axis"}, {&names.param, "param"},
      {&names.carry, "carry"}, {&names.reduce, "reduce"}, {&names.load, "load"},
      {&names.int64, "int64"}, {&names.add, "add"}, {&names.sub, "sub"}, {&names.mul, "mul"},
      {&names.neg, "neg"}, {&names.abs, "abs"}, {&names.min, "min"}, {&names.max, "max"},
      {&names.idiv, "idiv"}, {&names.imod, "imod"}, {&names.rem, "rem"}, {&names.div, "div"},
      {&names.select, "select"}, {&names.rarely, "rarely"}, {&names.cast, "cast"},
      {&names.popcount, "popcount"}, {&names.clz, "clz"}, {&names.shr_logical, "shr_logical"},
      {&names.shr_arithmetic, "shr_arithmetic"}, {&names.and_, "and"}, {&names.eq, "eq"},
      {&names.ne, "ne"}, {&names.lt, "lt"}, {&names.le, "le"}, {&names.gt, "gt"},
      {&names.ge, "ge"}, {&names.is_finite, "is_finite"}, {&names.bool_, "bool"}, {&names.extent, "extent"},
  };
  for (auto [place, text] : all)
    if (!name(*place, text)) return false;
  for (size_t k = 0; k < std::size(integers); ++k)
    if (!name(integers[k].name, integer_names[k])) return false;
  expr_type = add_type(module, &expr_spec);
  nodes_type = expr_type ? add_type(module, &nodes_spec) : nullptr;
  return nodes_type && PyModule_AddFunctions(module, functions) == 0 &&
         PyModule_AddFunctions(module, affine_functions) == 0;
}

}  // namespace fornax
