#include "dispatch.hpp"

#include <structmember.h>

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>

#include "call_key.hpp"
#include "pytree.hpp"
#include "slots.hpp"

namespace fornax {
namespace {

constexpr size_t most_entries = 4096;

// What a compiled call needs: which leaves go in, and the tree to build from what comes out.
struct Entry {
  PyObject_HEAD
  PyObject* program;
  PyObject* kept;           // tuple of int
  PyObject* extra;          // tuple of Array
  PyObject* out_structure;
  PyObject* donated;        // tuple of bool
  std::vector<uint32_t>* leaves;
  std::vector<bool>* donations;
  bool returns_leaf;        // the result is the single output itself
};

PyTypeObject* entry_type = nullptr;
PyTypeObject* jit_type = nullptr;
PyObject* leaf_structure = nullptr;

Entry* as_entry(PyObject* object) { return reinterpret_cast<Entry*>(object); }

// Calls with known programs, most recently used first.
class Cache {
 public:
  struct Item {
    CallKey* key;
    PyObject* entry;
  };
  using Items = std::list<Item>;

  ~Cache() { clear(); }

  size_t size() const { return items_.size(); }
  const Items& items() const { return items_; }

  // The one item most calls want: no hash needed. Null also when static arguments are involved.
  PyObject* newest(const Call& call) const {
    if (items_.empty()) return nullptr;
    const Item& item = items_.front();
    return item.key->statics->empty() && call.same_words(*item.key) ? item.entry : nullptr;
  }

  // New reference to the entry; null when there is none or, with `failed` set, on an error.
  PyObject* find(const Call& call, uint64_t hash, bool& failed) {
  restart:
    uint64_t version = version_;
    for (auto [it, end] = table_.equal_range(hash); it != end; ++it) {
      Items::iterator item = it->second;
      if (!call.same_words(*item->key)) continue;
      Ref key = Ref::borrow(as_object(item->key)), entry = Ref::borrow(item->entry);
      int same = call.same_statics(*reinterpret_cast<CallKey*>(key.get()));
      if (same < 0) {
        failed = true;
        return nullptr;
      }
      if (version != version_) goto restart;  // the comparison ran code that changed the cache
      if (!same) continue;
      items_.splice(items_.begin(), items_, item);
      return entry.release();
    }
    return nullptr;
  }

  void insert(PyObject* key, PyObject* entry) {
    ++version_;
    auto* call_key = reinterpret_cast<CallKey*>(Py_NewRef(key));
    items_.push_front({call_key, Py_NewRef(entry)});
    table_.emplace(call_key->hash, items_.begin());
    if (items_.size() > most_entries) {
      auto oldest = std::prev(items_.end());
      auto [it, end] = table_.equal_range(oldest->key->hash);
      while (it != end && it->second != oldest) ++it;
      table_.erase(it);
      Items evicted;
      evicted.splice(evicted.begin(), items_, oldest);
      drop(evicted);
    }
  }

  void clear() {
    ++version_;
    Items dropped;
    dropped.swap(items_);
    table_.clear();
    drop(dropped);
  }

 private:
  // May run Python code, so it works on items that have left the cache.
  static void drop(Items& items) {
    for (Item& item : items) {
      Py_DECREF(as_object(item.key));
      Py_DECREF(item.entry);
    }
  }

  Items items_;
  std::unordered_multimap<uint64_t, Items::iterator> table_;
  uint64_t version_ = 0;
};

struct JitFunction {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  PyObject* miss;
  PyObject* dictionary;
  PyObject* weak_references;
  Statics* statics;
  Cache* cache;
};

JitFunction* as_jit(PyObject* object) { return reinterpret_cast<JitFunction*>(object); }

// --- running ----------------------------------------------------------------------------------

// Calls own vectors whose capacity is worth keeping; nested calls take further ones.
std::vector<std::unique_ptr<Call>>& spare_calls() {
  static auto* spare = new std::vector<std::unique_ptr<Call>>();
  return *spare;
}

class BorrowedCall {
 public:
  BorrowedCall() {
    auto& spare = spare_calls();
    if (spare.empty()) {
      call_ = std::make_unique<Call>();
    } else {
      call_ = std::move(spare.back());
      spare.pop_back();
    }
  }
  ~BorrowedCall() {
    call_->clear();
    if (spare_calls().size() < 16) spare_calls().push_back(std::move(call_));
  }
  Call* operator->() { return call_.get(); }
  Call& operator*() { return *call_; }

 private:
  std::unique_ptr<Call> call_;
};

PyObject* run_entry(const Entry* entry, const Call& call) {
  constexpr size_t few = 16;
  const size_t kept = entry->leaves->size();
  const size_t inputs = kept + static_cast<size_t>(PyTuple_GET_SIZE(entry->extra));
  Program* program = as_program(entry->program);
  const size_t outputs = program->plan->outputs.size();
  Operand few_operands[few];
  PyObject* few_results[few];
  std::unique_ptr<Operand[]> many_operands;
  std::unique_ptr<PyObject*[]> many_results;
  Operand* operands = few_operands;
  PyObject** results = few_results;
  if (inputs > few) operands = (many_operands = std::make_unique<Operand[]>(inputs)).get();
  if (outputs > few) results = (many_results = std::make_unique<PyObject*[]>(outputs)).get();

  for (size_t i = 0; i < kept; ++i) {
    operands[i] = call.operands[(*entry->leaves)[i]];
    operands[i].donated = (*entry->donations)[i];
  }
  for (size_t i = kept; i < inputs; ++i) {
    PyObject* array = PyTuple_GET_ITEM(entry->extra, static_cast<Py_ssize_t>(i - kept));
    Buffer* buffer = live_buffer(as_array(array));
    if (!buffer) return nullptr;
    operands[i] = {buffer->data, as_array(array)->aval, array, (*entry->donations)[i]};
  }
  if (!run_program(program, operands, inputs, results)) return nullptr;
  if (entry->returns_leaf && outputs == 1) return results[0];
  PyObject* result = unflatten(entry->out_structure, results, outputs);
  for (size_t i = 0; i < outputs; ++i) Py_DECREF(results[i]);
  return result;
}

// Lets Python trace, compile or run the call. `key` is None when its outcome cannot be cached.
PyObject* call_miss(JitFunction* self, const Arguments& arguments, PyObject* key) {
  Ref args = Ref::steal(PyTuple_New(arguments.positional));
  Ref kwargs = Ref::steal(PyDict_New());
  if (!args || !kwargs) return nullptr;
  for (Py_ssize_t i = 0; i < arguments.positional; ++i)
    PyTuple_SET_ITEM(args.get(), i, Py_NewRef(arguments.values[i]));
  for (Py_ssize_t i = 0; arguments.names && i < PyTuple_GET_SIZE(arguments.names); ++i)
    if (PyDict_SetItem(kwargs.get(), PyTuple_GET_ITEM(arguments.names, i),
                       arguments.values[arguments.positional + i]) < 0)
      return nullptr;
  PyObject* values[] = {as_object(self), args.get(), kwargs.get(), key};
  Ref miss = Ref::borrow(self->miss);
  Ref returned = Ref::steal(PyObject_Vectorcall(miss.get(), values, 4, nullptr));
  if (!returned) return nullptr;
  if (!PyTuple_Check(returned.get()) || PyTuple_GET_SIZE(returned.get()) != 2) {
    PyErr_Format(PyExc_TypeError, "The miss function must return (result, entry | None), not %R.",
                 returned.get());
    return nullptr;
  }
  PyObject* entry = PyTuple_GET_ITEM(returned.get(), 1);
  if (entry != Py_None && Py_TYPE(entry) != entry_type) {
    PyErr_Format(PyExc_TypeError, "The miss function must return an Entry or None, not %s.",
                 Py_TYPE(entry)->tp_name);
    return nullptr;
  }
  if (key != Py_None && entry != Py_None) self->cache->insert(key, entry);
  return Py_NewRef(PyTuple_GET_ITEM(returned.get(), 0));
}

PyObject* call_jit(PyObject* object, PyObject* const* values, size_t flagged, PyObject* names) {
  JitFunction* self = as_jit(object);
  Arguments arguments{values, PyVectorcall_NARGS(flagged), names};
  if (!self->cache) {
    PyErr_SetString(PyExc_RuntimeError, "The jitted function was already collected.");
    return nullptr;
  }
  if (slots.trace) return call_miss(self, arguments, Py_None);
  Ref alive = Ref::borrow(object);
  BorrowedCall call;
  Reading reading = call->read(arguments, *self->statics);
  if (reading == Reading::failed) return nullptr;
  if (reading == Reading::unkeyed) return call_miss(self, arguments, Py_None);
  Ref entry = Ref::borrow(self->cache->newest(*call));
  if (entry) return run_entry(as_entry(entry.get()), *call);
  uint64_t hash = 0;
  if (!call->hash_key(hash))
    return PyErr_Occurred() ? nullptr : call_miss(self, arguments, Py_None);
  bool failed = false;
  entry = Ref::steal(self->cache->find(*call, hash, failed));
  if (failed) return nullptr;
  if (entry) return run_entry(as_entry(entry.get()), *call);
  Ref key = Ref::steal(call->make_key(hash));
  return key ? call_miss(self, arguments, key.get()) : nullptr;
}

// --- Entry ------------------------------------------------------------------------------------

PyObject* new_entry(PyTypeObject* type, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"program", "kept", "extra", "out_structure", "donated", nullptr};
  PyObject *program, *kept, *extra, *structure, *donated;
  if (!PyArg_ParseTupleAndKeywords(args, names, "O!O!O!OO!:Entry", const_cast<char**>(keywords),
                                   program_type, &program, &PyTuple_Type, &kept, &PyTuple_Type,
                                   &extra, &structure, &PyTuple_Type, &donated))
    return nullptr;
  if (!is_structure(structure)) {
    PyErr_Format(PyExc_TypeError, "Entry: out_structure must be a PyTreeDef, got %s.",
                 Py_TYPE(structure)->tp_name);
    return nullptr;
  }
  Py_ssize_t inputs = PyTuple_GET_SIZE(kept) + PyTuple_GET_SIZE(extra);
  if (PyTuple_GET_SIZE(donated) != inputs ||
      static_cast<size_t>(inputs) != as_program(program)->plan->inputs.size()) {
    PyErr_Format(PyExc_ValueError,
                 "Entry: the program has %zu inputs, but %zd leaves are kept, %zd arrays added and "
                 "%zd donation flags given.",
                 as_program(program)->plan->inputs.size(), PyTuple_GET_SIZE(kept),
                 PyTuple_GET_SIZE(extra), PyTuple_GET_SIZE(donated));
    return nullptr;
  }
  auto leaves = std::make_unique<std::vector<uint32_t>>();
  auto donations = std::make_unique<std::vector<bool>>();
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kept); ++i) {
    Py_ssize_t leaf = PyLong_AsSsize_t(PyTuple_GET_ITEM(kept, i));
    if (leaf < 0 || leaf > UINT32_MAX) {
      if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "Entry: negative leaf index.");
      return nullptr;
    }
    leaves->push_back(static_cast<uint32_t>(leaf));
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(extra); ++i)
    if (!is_array(PyTuple_GET_ITEM(extra, i))) {
      PyErr_SetString(PyExc_TypeError, "Entry: extra must be a tuple of Arrays.");
      return nullptr;
    }
  for (Py_ssize_t i = 0; i < inputs; ++i) {
    int truth = PyObject_IsTrue(PyTuple_GET_ITEM(donated, i));
    if (truth < 0) return nullptr;
    donations->push_back(truth);
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  Entry* entry = as_entry(self);
  entry->program = Py_NewRef(program);
  entry->kept = Py_NewRef(kept);
  entry->extra = Py_NewRef(extra);
  entry->out_structure = Py_NewRef(structure);
  entry->donated = Py_NewRef(donated);
  entry->leaves = leaves.release();
  entry->donations = donations.release();
  entry->returns_leaf = structure == leaf_structure;
  return self;
}

int traverse_entry(PyObject* self, visitproc visit, void* arg) {
  Entry* entry = as_entry(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(entry->program);
  Py_VISIT(entry->out_structure);
  return 0;
}

void dealloc_entry(PyObject* self) {
  Entry* entry = as_entry(self);
  PyObject_GC_UnTrack(self);
  Py_XDECREF(entry->program);
  Py_XDECREF(entry->kept);
  Py_XDECREF(entry->extra);
  Py_XDECREF(entry->out_structure);
  Py_XDECREF(entry->donated);
  delete entry->leaves;
  delete entry->donations;
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMemberDef entry_members[] = {
    {"program", T_OBJECT_EX, offsetof(Entry, program), READONLY, "The Program to run."},
    {"kept", T_OBJECT_EX, offsetof(Entry, kept), READONLY, "Indices of the leaves it reads."},
    {"extra", T_OBJECT_EX, offsetof(Entry, extra), READONLY, "Arrays passed after them."},
    {"out_structure", T_OBJECT_EX, offsetof(Entry, out_structure), READONLY,
     "The structure of the result."},
    {"donated", T_OBJECT_EX, offsetof(Entry, donated), READONLY, "Per input: is it donated?"},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot entry_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_entry)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_entry)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse_entry)},
    {Py_tp_members, entry_members},
    {Py_tp_doc,
     const_cast<char*>("Entry(program, kept, extra, out_structure, donated)\n\n"
                       "A compiled call: which leaves go into which program, what comes out.")},
    {0, nullptr},
};

PyType_Spec entry_spec = {"fornax._native.Entry", sizeof(Entry), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, entry_slots};

// --- JitFunction ------------------------------------------------------------------------------

bool read_statics(PyObject* positions, PyObject* names, Statics& statics) {
  for (Py_ssize_t i = 0; positions && i < PyTuple_GET_SIZE(positions); ++i) {
    Py_ssize_t position = PyLong_AsSsize_t(PyTuple_GET_ITEM(positions, i));
    if (position == -1 && PyErr_Occurred()) return false;
    statics.positions.push_back(position);
  }
  for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    if (!PyUnicode_Check(name)) {
      PyErr_Format(PyExc_TypeError, "JitFunction: static_argnames must be str, got %R.", name);
      return false;
    }
    Py_INCREF(name);
    PyUnicode_InternInPlace(&name);
    statics.names.push_back(name);
  }
  return true;
}

void delete_statics(Statics* statics) {
  if (statics)
    for (PyObject* name : statics->names) Py_DECREF(name);
  delete statics;
}

PyObject* new_jit(PyTypeObject* type, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"miss", "static_argnums", "static_argnames", nullptr};
  PyObject *miss, *positions = nullptr, *static_names = nullptr;
  if (!PyArg_ParseTupleAndKeywords(args, names, "O|O!O!:JitFunction", const_cast<char**>(keywords),
                                   &miss, &PyTuple_Type, &positions, &PyTuple_Type, &static_names))
    return nullptr;
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  JitFunction* jit = as_jit(self);
  jit->vectorcall = call_jit;
  jit->miss = Py_NewRef(miss);
  jit->statics = new Statics();
  jit->cache = new Cache();
  if (read_statics(positions, static_names, *jit->statics)) return self;
  Py_DECREF(self);
  return nullptr;
}

int traverse_jit(PyObject* self, visitproc visit, void* arg) {
  JitFunction* jit = as_jit(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(jit->miss);
  Py_VISIT(jit->dictionary);
  if (jit->cache)
    for (const Cache::Item& item : jit->cache->items()) {
      Py_VISIT(as_object(item.key));
      Py_VISIT(item.entry);
    }
  return 0;
}

int clear_jit(PyObject* self) {
  JitFunction* jit = as_jit(self);
  delete std::exchange(jit->cache, nullptr);
  Py_CLEAR(jit->miss);
  Py_CLEAR(jit->dictionary);
  return 0;
}

void dealloc_jit(PyObject* self) {
  JitFunction* jit = as_jit(self);
  PyObject_GC_UnTrack(self);
  if (jit->weak_references) PyObject_ClearWeakRefs(self);
  clear_jit(self);
  delete_statics(std::exchange(jit->statics, nullptr));
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* bind_jit(PyObject* self, PyObject* instance, PyObject*) {
  return instance && instance != Py_None ? PyMethod_New(self, instance) : Py_NewRef(self);
}

PyObject* represent_jit(PyObject* self) {
  Ref name = Ref::steal(PyObject_GetAttrString(self, "__qualname__"));
  if (!name) PyErr_Clear();
  return name ? PyUnicode_FromFormat("<jitted function %S at %p>", name.get(), self)
              : PyUnicode_FromFormat("<jitted function at %p>", self);
}

PyObject* clear_cache(PyObject* self, PyObject*) {
  if (as_jit(self)->cache) as_jit(self)->cache->clear();
  Py_RETURN_NONE;
}

PyObject* cache_size(PyObject* self, PyObject*) {
  return PyLong_FromSize_t(as_jit(self)->cache ? as_jit(self)->cache->size() : 0);
}

PyObject* key_description(PyObject* self, PyObject* arguments) {
  PyObject *args, *kwargs;
  if (!PyArg_ParseTuple(arguments, "O!O!:key_description", &PyTuple_Type, &args, &PyDict_Type,
                        &kwargs))
    return nullptr;
  return describe_call(args, kwargs, *as_jit(self)->statics);
}

PyMethodDef jit_methods[] = {
    {"clear_cache", clear_cache, METH_NOARGS, "Forget all compiled calls."},
    {"cache_size", cache_size, METH_NOARGS, "The number of compiled calls."},
    {"key_description", key_description, METH_VARARGS,
     "key_description(args, kwargs) -> (leaves, structure, statics, settings)\n\n"
     "What the key of a call consists of: per leaf (kind, dtype, shape, weak_type) in the order\n"
     "in which (args, kwargs) without the static arguments flatten, that structure, the static\n"
     "arguments as (position or name, value), and the settings. dtype, shape and weak_type are\n"
     "None for leaves that cannot be part of a key."},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef jit_members[] = {
    {"miss", T_OBJECT, offsetof(JitFunction, miss), READONLY, "Called for calls without entry."},
    {"__dictoffset__", T_PYSSIZET, offsetof(JitFunction, dictionary), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(JitFunction, weak_references), READONLY, nullptr},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(JitFunction, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyGetSetDef jit_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot jit_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_jit)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_jit)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse_jit)},
    {Py_tp_clear, reinterpret_cast<void*>(clear_jit)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_descr_get, reinterpret_cast<void*>(bind_jit)},
    {Py_tp_repr, reinterpret_cast<void*>(represent_jit)},
    {Py_tp_methods, jit_methods},
    {Py_tp_members, jit_members},
    {Py_tp_getset, jit_getset},
    {Py_tp_doc,
     const_cast<char*>("JitFunction(miss, static_argnums=(), static_argnames=())\n\n"
                       "Runs the compiled program that fits a call. Without one, or while a\n"
                       "transformation traces, miss(self, args, kwargs, key) returns (result, "
                       "Entry | None);\nkey is None when the call cannot be cached.")},
    {0, nullptr},
};

PyType_Spec jit_spec = {
    "fornax._native.JitFunction", sizeof(JitFunction), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_BASETYPE,
    jit_slots};

}  // namespace

bool register_dispatch(PyObject* module) {
  std::vector<PyObject*> leaves;
  if (!flatten_leaves(Py_True, leaves, &leaf_structure)) return false;
  for (PyObject* leaf : leaves) Py_DECREF(leaf);
  entry_type = add_type(module, &entry_spec);
  jit_type = entry_type ? add_type(module, &jit_spec) : nullptr;
  return jit_type != nullptr;
}

}  // namespace fornax
