#include "call_key.hpp"

#include <algorithm>
#include <complex>
#include <cstring>

#include "exact.hpp"
#include "pytree.hpp"
#include "refusal.hpp"
#include "slots.hpp"

namespace fornax {

PyTypeObject* call_key_type = nullptr;
PyObject* leaf_structure = nullptr;

namespace {

// Markers in the word list; no object has these addresses.
constexpr uintptr_t leaf_marker = 1, static_marker = 2;

// A Python class around an Array. A second attribute tells apart what the array's type does not.
struct WrappedLeaf {
  PyTypeObject* type;
  PyObject* array_name;
  PyObject* tag_name;
};

std::vector<WrappedLeaf>& wrapped_leaves() {
  static auto* table = new std::vector<WrappedLeaf>();
  return *table;
}

const WrappedLeaf* find_wrapped(PyTypeObject* type) {
  for (const WrappedLeaf& wrapped : wrapped_leaves())
    if (wrapped.type == type) return &wrapped;
  return nullptr;
}

uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
  return hash ^ (hash >> 29);
}

// Whether 64-bit types are on, an attribute of the settings object that is remembered with it.
bool uses_x64(PyObject* settings) {
  static PyObject* known = nullptr;
  static bool known_x64 = false;
  if (settings == known) return known_x64;
  PyObject* value = PyObject_GetAttrString(settings, "x64");
  if (!value) PyErr_Clear();
  known_x64 = value == Py_True;
  Py_XDECREF(value);
  Py_XSETREF(known, Py_NewRef(settings));
  return known_x64;
}

bool is_leaf_argument(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  return type == array_type || type == &PyFloat_Type || type == &PyLong_Type ||
         type == &PyArray_Type || type == &PyBool_Type || type == &PyComplex_Type;
}

void release_all(std::vector<PyObject*>& objects) {
  for (PyObject* object : objects) Py_DECREF(object);
  objects.clear();
}

}  // namespace

void Call::clear() {
  for (Operand& operand : operands) release(operand.aval);
  operands.clear();
  release_all(leaves_);
  release_all(objects_);
  release_all(copies_);
  statics_.clear();
  words_.clear();
}

// --- leaves -----------------------------------------------------------------------------------

void Call::add_scalar(Builtin which, const void* value, size_t bytes, Scalar& scalar) {
  std::memcpy(scalar.bytes, value, bytes);
  operands.push_back({scalar.bytes, retain(scalar_aval(which)), nullptr, false});
}

Reading Call::read_ndarray(PyObject* leaf, bool x64) {
  auto* ndarray = reinterpret_cast<PyArrayObject*>(leaf);
  const DType* dtype = intern_descr(PyArray_DESCR(ndarray));
  if (!dtype) {
    PyErr_Clear();
    return Reading::unkeyed;
  }
  if (!x64) dtype = dtype->narrow;
  PyObject* conformed = conform_ndarray(ndarray, dtype);
  if (!conformed) return Reading::failed;
  copies_.push_back(conformed);
  Aval* aval = intern_aval(
      dtype, {PyArray_DIMS(ndarray), static_cast<size_t>(PyArray_NDIM(ndarray))}, false);
  if (!aval) return Reading::failed;
  operands.push_back(
      {PyArray_DATA(reinterpret_cast<PyArrayObject*>(conformed)), aval, nullptr, false});
  return Reading::keyed;
}

Reading Call::read_numpy_scalar(PyObject* leaf, Scalar& scalar, bool x64) {
  Ref descr = Ref::steal(as_object(PyArray_DescrFromScalar(leaf)));
  const DType* dtype =
      descr ? intern_descr(reinterpret_cast<PyArray_Descr*>(descr.get())) : nullptr;
  if (!dtype) {
    PyErr_Clear();
    return Reading::unkeyed;
  }
  const DType* wanted = x64 ? dtype : dtype->narrow;
  if (PyTypeNum_ISUSERDEF(dtype->descr->type_num)) {  // NumPy cannot see into these
    Ref ndarray = Ref::steal(PyArray_FromScalar(leaf, nullptr));
    if (!ndarray) return Reading::failed;
    std::memcpy(scalar.bytes, PyArray_DATA(reinterpret_cast<PyArrayObject*>(ndarray.get())),
                static_cast<size_t>(dtype->itemsize));
  } else if (wanted == dtype) {
    PyArray_ScalarAsCtype(leaf, scalar.bytes);
  } else if (PyArray_CastScalarToCtype(leaf, scalar.bytes, wanted->descr) < 0) {
    return Reading::failed;
  }
  Aval* aval = intern_aval(wanted, {}, false);
  if (!aval) return Reading::failed;
  operands.push_back({scalar.bytes, aval, nullptr, false});
  return Reading::keyed;
}

Reading Call::read_wrapped(PyObject* leaf) {
  const WrappedLeaf* wrapped = find_wrapped(Py_TYPE(leaf));
  if (!wrapped) return Reading::unkeyed;
  PyObject* array = PyObject_GetAttr(leaf, wrapped->array_name);
  if (!array) return Reading::failed;
  copies_.push_back(array);
  PyObject* tag = PyObject_GetAttr(leaf, wrapped->tag_name);
  if (!tag) return Reading::failed;
  objects_.push_back(tag);
  if (!is_array(array)) return Reading::unkeyed;
  Buffer* buffer = live_buffer(as_array(array));
  if (!buffer) return Reading::failed;
  words_.push_back(reinterpret_cast<uintptr_t>(tag));
  words_.push_back(operands.size());
  operands.push_back({buffer->data, retain(as_array(array)->aval), array, false});
  return Reading::keyed;
}

Reading Call::read_leaf(PyObject* leaf, Scalar& scalar, bool x64) {
  PyTypeObject* type = Py_TYPE(leaf);
  if (type == array_type) {
    Buffer* buffer = live_buffer(as_array(leaf));
    if (!buffer) return Reading::failed;
    operands.push_back({buffer->data, retain(as_array(leaf)->aval), leaf, false});
  } else if (type == &PyFloat_Type) {
    double value = PyFloat_AS_DOUBLE(leaf);
    auto narrow = static_cast<float>(value);
    if (x64) add_scalar(Builtin::float64, &value, sizeof value, scalar);
    else add_scalar(Builtin::float32, &narrow, sizeof narrow, scalar);
  } else if (type == &PyLong_Type) {
    int overflow = 0;
    long long value = PyLong_AsLongLongAndOverflow(leaf, &overflow);
    auto narrow = static_cast<int32_t>(value);
    // Numbers that do not fit are reported where there is an argument path to name.
    if (overflow || (!x64 && narrow != value)) return Reading::unkeyed;
    if (x64) add_scalar(Builtin::int64, &value, sizeof value, scalar);
    else add_scalar(Builtin::int32, &narrow, sizeof narrow, scalar);
  } else if (type == &PyArray_Type) {
    return read_ndarray(leaf, x64);
  } else if (type == &PyBool_Type) {
    bool value = leaf == Py_True;
    add_scalar(Builtin::boolean, &value, sizeof value, scalar);
  } else if (type == &PyComplex_Type) {
    std::complex<double> value(PyComplex_RealAsDouble(leaf), PyComplex_ImagAsDouble(leaf));
    std::complex<float> narrow(value);
    if (x64) add_scalar(Builtin::complex128, &value, sizeof value, scalar);
    else add_scalar(Builtin::complex64, &narrow, sizeof narrow, scalar);
  } else if (PyArray_IsScalar(leaf, Generic)) {
    return read_numpy_scalar(leaf, scalar, x64);
  } else {
    return read_wrapped(leaf);
  }
  return Reading::keyed;
}

// --- the key ----------------------------------------------------------------------------------

Reading Call::read_argument(PyObject* argument) {
  if (is_leaf_argument(argument)) {
    words_.push_back(leaf_marker);
    leaves_.push_back(Py_NewRef(argument));
    return Reading::keyed;
  }
  PyObject* structure = nullptr;
  if (!flatten_leaves(argument, leaves_, &structure)) return Reading::failed;
  objects_.push_back(structure);
  words_.push_back(structure == leaf_structure ? leaf_marker
                                               : reinterpret_cast<uintptr_t>(structure));
  return Reading::keyed;
}

Reading Call::read(const Arguments& arguments, const Statics& statics) {
  exact_ = statics.exact;
  PyObject* settings = current_settings();
  objects_.push_back(Py_NewRef(settings));
  words_.push_back(reinterpret_cast<uintptr_t>(settings));
  const Py_ssize_t keywords = arguments.names ? PyTuple_GET_SIZE(arguments.names) : 0;
  words_.push_back(static_cast<uintptr_t>(arguments.positional) << 16 |
                   static_cast<uintptr_t>(keywords));

  const auto is_static_position = [&](Py_ssize_t position) {
    for (Py_ssize_t wanted : statics.positions)
      if ((wanted < 0 ? wanted + arguments.positional : wanted) == position) return true;
    return false;
  };
  const auto add_static = [&](PyObject* value) {
    words_.push_back(static_marker);
    statics_.push_back(value);
  };

  for (Py_ssize_t i = 0; i < arguments.positional; ++i) {
    if (!statics.positions.empty() && is_static_position(i)) add_static(arguments.values[i]);
    else if (read_argument(arguments.values[i]) == Reading::failed) return Reading::failed;
  }

  // Keywords count in the order of their names, as they would in a dict.
  std::vector<std::pair<PyObject*, PyObject*>> named;
  for (Py_ssize_t i = 0; i < keywords; ++i) {
    PyObject* name = Py_NewRef(PyTuple_GET_ITEM(arguments.names, i));
    PyUnicode_InternInPlace(&name);
    objects_.push_back(name);
    named.emplace_back(name, arguments.values[arguments.positional + i]);
  }
  if (keywords > 1)
    std::sort(named.begin(), named.end(), [](const auto& left, const auto& right) {
      return PyUnicode_Compare(left.first, right.first) < 0;
    });
  for (auto [name, value] : named) {
    words_.push_back(reinterpret_cast<uintptr_t>(name));
    if (std::find(statics.names.begin(), statics.names.end(), name) != statics.names.end())
      add_static(value);
    else if (read_argument(value) == Reading::failed) return Reading::failed;
  }

  const bool x64 = uses_x64(settings);
  if (scalars_.size() < leaves_.size()) scalars_.resize(leaves_.size());
  for (size_t i = 0; i < leaves_.size(); ++i) {
    Reading reading = read_leaf(leaves_[i], scalars_[i], x64);
    if (reading != Reading::keyed) return reading;
  }
  for (const Operand& operand : operands)
    words_.push_back(reinterpret_cast<uintptr_t>(operand.aval));
  return Reading::keyed;
}

bool Call::hash_key(uint64_t& hash) const {
  hash = words_.size();
  for (uintptr_t word : words_) hash = mix(hash, word);
  for (PyObject* value : statics_) {
    Py_hash_t part = PyObject_Hash(value);
    if (part == -1) {
      if (PyErr_ExceptionMatches(PyExc_TypeError)) PyErr_Clear();
      return false;
    }
    hash = mix(hash, static_cast<uint64_t>(part));
  }
  return true;
}

bool Call::same_words(const CallKey& key) const {
  return words_.size() == key.words->size() && statics_.size() == key.statics->size() &&
         std::memcmp(words_.data(), key.words->data(), words_.size() * sizeof(uintptr_t)) == 0;
}

namespace {

int same_values(const std::vector<PyObject*>& left, const std::vector<PyObject*>& right,
                bool exact) {
  for (size_t i = 0; i < left.size(); ++i) {
    if (left[i] == right[i]) continue;
    if (Py_TYPE(left[i]) != Py_TYPE(right[i])) return 0;
    Ref mine = Ref::borrow(left[i]), other = Ref::borrow(right[i]);
    int equal = exact ? exactly_equal(mine.get(), other.get())
                      : PyObject_RichCompareBool(mine.get(), other.get(), Py_EQ);
    if (equal < 0 && PyErr_ExceptionMatches(PyExc_Exception)) {
      Cause cause;
      refuse(PyExc_ValueError,
             "a call with other static arguments is another program, so they are compared",
             "an == of the class that gives a bool; arrays as ordinary arguments",
             "static arguments should be comparable using __eq__, but two of type %s are not: %R",
             Py_TYPE(mine.get())->tp_name, cause.get());
      cause.attach();
    }
    if (equal <= 0) return equal;
  }
  return 1;
}

}  // namespace

int Call::same_statics(const CallKey& key) const {
  return statics_.empty() ? 1 : same_values(statics_, *key.statics, exact_);
}

PyObject* Call::make_key(uint64_t hash) const {
  PyObject* object = call_key_type->tp_alloc(call_key_type, 0);
  if (!object) return nullptr;
  auto* key = reinterpret_cast<CallKey*>(object);
  key->hash = hash;
  key->exact = exact_;
  key->words = new std::vector<uintptr_t>(words_);
  key->statics = new std::vector<PyObject*>(statics_);
  key->objects = new std::vector<PyObject*>(objects_);
  key->avals = new std::vector<Aval*>();
  for (PyObject* value : *key->statics) Py_INCREF(value);
  for (PyObject* value : *key->objects) Py_INCREF(value);
  for (const Operand& operand : operands) key->avals->push_back(retain(operand.aval));
  return object;
}

// --- the key as a Python object ---------------------------------------------------------------

namespace {

int traverse_key(PyObject* self, visitproc visit, void* arg) {
  auto* key = reinterpret_cast<CallKey*>(self);
  Py_VISIT(Py_TYPE(self));
  if (key->statics)
    for (PyObject* value : *key->statics) Py_VISIT(value);
  if (key->objects)
    for (PyObject* value : *key->objects) Py_VISIT(value);
  return 0;
}

void dealloc_key(PyObject* self) {
  auto* key = reinterpret_cast<CallKey*>(self);
  PyObject_GC_UnTrack(self);
  if (key->statics) release_all(*key->statics);
  if (key->objects) release_all(*key->objects);
  if (key->avals)
    for (Aval* aval : *key->avals) release(aval);
  delete key->words;
  delete key->statics;
  delete key->objects;
  delete key->avals;
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

Py_hash_t hash_of_key(PyObject* self) {
  auto hash = static_cast<Py_hash_t>(reinterpret_cast<CallKey*>(self)->hash);
  return hash == -1 ? -2 : hash;
}

PyObject* compare_keys(PyObject* self, PyObject* other, int operation) {
  if ((operation != Py_EQ && operation != Py_NE) || Py_TYPE(other) != call_key_type)
    Py_RETURN_NOTIMPLEMENTED;
  auto *left = reinterpret_cast<CallKey*>(self), *right = reinterpret_cast<CallKey*>(other);
  int equal = self == other;
  if (!equal && left->hash == right->hash && *left->words == *right->words &&
      left->statics->size() == right->statics->size())
    equal = same_values(*left->statics, *right->statics, left->exact || right->exact);
  return equal < 0 ? nullptr : PyBool_FromLong((equal != 0) == (operation == Py_EQ));
}

PyType_Slot key_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_key)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse_key)},
    {Py_tp_hash, reinterpret_cast<void*>(hash_of_key)},
    {Py_tp_richcompare, reinterpret_cast<void*>(compare_keys)},
    {Py_tp_doc, const_cast<char*>("The key of one kind of call; hashable, compared by value.")},
    {0, nullptr},
};

PyType_Spec key_spec = {
    "fornax._native.CallKey", sizeof(CallKey), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, key_slots};

// (kind, dtype, shape, weak_type) of one leaf; the kind alone tells of what cannot be keyed.
PyObject* describe_leaf(PyObject* leaf, bool x64) {
  if (is_array(leaf)) {
    Aval* aval = as_array(leaf)->aval;
    return Py_BuildValue("(sOOO)", "Array", aval->dtype->descr, aval->shape,
                         aval->weak ? Py_True : Py_False);
  }
  const char* kind = Py_TYPE(leaf)->tp_name;
  const Builtin* narrow = nullptr;
  static constexpr Builtin types[][2] = {{Builtin::boolean, Builtin::boolean},
                                         {Builtin::int32, Builtin::int64},
                                         {Builtin::float32, Builtin::float64},
                                         {Builtin::complex64, Builtin::complex128}};
  if (PyBool_Check(leaf)) narrow = types[0];
  else if (PyLong_CheckExact(leaf)) narrow = types[1];
  else if (PyFloat_CheckExact(leaf)) narrow = types[2];
  else if (PyComplex_CheckExact(leaf)) narrow = types[3];
  if (narrow) {
    Aval* aval = scalar_aval(narrow[x64]);
    return Py_BuildValue("(sOOO)", kind, aval->dtype->descr, aval->shape,
                         aval->weak ? Py_True : Py_False);
  }
  if (PyArray_CheckExact(leaf) || PyArray_IsScalar(leaf, Generic)) {
    Ref descr = Ref::steal(PyObject_GetAttrString(leaf, "dtype"));
    Ref shape = Ref::steal(PyObject_GetAttrString(leaf, "shape"));
    const DType* dtype = descr && shape ? intern_dtype(descr.get()) : nullptr;
    if (dtype)
      return Py_BuildValue("(sOOO)", kind, (x64 ? dtype : dtype->narrow)->descr, shape.get(),
                           Py_False);
    PyErr_Clear();
  }
  if (const WrappedLeaf* wrapped = find_wrapped(Py_TYPE(leaf))) {
    Ref array = Ref::steal(PyObject_GetAttr(leaf, wrapped->array_name));
    Ref tag = Ref::steal(array ? PyObject_GetAttr(leaf, wrapped->tag_name) : nullptr);
    if (!tag) return nullptr;
    PyObject* shape = is_array(array.get()) ? as_array(array.get())->aval->shape : Py_None;
    return Py_BuildValue("(sOOO)", kind, tag.get(), shape, Py_False);
  }
  return Py_BuildValue("(sOOO)", kind, Py_None, Py_None, Py_None);
}

PyObject* register_wrapped_leaf(PyObject*, PyObject* args) {
  PyObject *type, *array_name, *tag_name;
  if (!PyArg_ParseTuple(args, "O!UU:register_wrapped_leaf", &PyType_Type, &type, &array_name,
                        &tag_name))
    return nullptr;
  auto* wrapper = reinterpret_cast<PyTypeObject*>(Py_NewRef(type));
  for (PyObject** name : {&array_name, &tag_name}) {
    Py_INCREF(*name);
    PyUnicode_InternInPlace(name);
  }
  wrapped_leaves().push_back({wrapper, array_name, tag_name});
  Py_RETURN_NONE;
}

PyMethodDef key_functions[] = {
    {"register_wrapped_leaf", register_wrapped_leaf, METH_VARARGS,
     "register_wrapped_leaf(type, array_attribute, tag_attribute, /)\n--\n\n"
     "Let jitted calls take instances of exactly this class by the Array they wrap. The tag, an\n"
     "object compared by identity, becomes part of the call key."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

PyObject* describe_call(PyObject* args, PyObject* kwargs, const Statics& statics) {
  Ref values = Ref::steal(PyList_New(0)), named = Ref::steal(PyDict_New());
  Ref fixed = Ref::steal(PyList_New(0));
  if (!values || !named || !fixed) return nullptr;
  Py_ssize_t count = PyTuple_GET_SIZE(args);
  for (Py_ssize_t i = 0; i < count; ++i) {
    bool is_static = false;
    for (Py_ssize_t wanted : statics.positions)
      is_static = is_static || (wanted < 0 ? wanted + count : wanted) == i;
    PyObject* value = PyTuple_GET_ITEM(args, i);
    Ref pair = Ref::steal(is_static ? Py_BuildValue("(nO)", i, value) : Py_NewRef(value));
    if (!pair || PyList_Append(is_static ? fixed.get() : values.get(), pair.get()) < 0)
      return nullptr;
  }
  PyObject *name, *value;
  for (Py_ssize_t position = 0; PyDict_Next(kwargs, &position, &name, &value);) {
    bool is_static = false;
    for (PyObject* wanted : statics.names)
      is_static = is_static || PyUnicode_Compare(wanted, name) == 0;
    if (is_static) {
      Ref pair = Ref::steal(PyTuple_Pack(2, name, value));
      if (!pair || PyList_Append(fixed.get(), pair.get()) < 0) return nullptr;
    } else if (PyDict_SetItem(named.get(), name, value) < 0) {
      return nullptr;
    }
  }
  Ref positional = Ref::steal(PyList_AsTuple(values.get()));
  Ref tree = Ref::steal(positional ? PyTuple_Pack(2, positional.get(), named.get()) : nullptr);
  std::vector<PyObject*> leaves;
  PyObject* structure = nullptr;
  if (!tree || !flatten_leaves(tree.get(), leaves, &structure)) return nullptr;
  Ref owned_structure = Ref::steal(structure);
  Ref described = Ref::steal(PyList_New(0));
  const bool x64 = uses_x64(current_settings());
  bool complete = static_cast<bool>(described);
  for (PyObject* leaf : leaves) {
    Ref text = Ref::steal(complete ? describe_leaf(leaf, x64) : nullptr);
    complete = text && PyList_Append(described.get(), text.get()) == 0;
  }
  release_all(leaves);
  if (!complete) return nullptr;
  Ref frozen = Ref::steal(PyList_AsTuple(fixed.get()));
  return frozen ? PyTuple_Pack(4, described.get(), structure, frozen.get(), current_settings())
                : nullptr;
}

bool register_call_keys(PyObject* module) {
  std::vector<PyObject*> leaves;
  if (!flatten_leaves(Py_True, leaves, &leaf_structure)) return false;
  release_all(leaves);
  call_key_type = add_type(module, &key_spec);
  return call_key_type && PyModule_AddFunctions(module, key_functions) == 0;
}

}  // namespace fornax
