#include "dispatch.hpp"

#include <structmember.h>

#include <cstddef>

#include "call_cache.hpp"
#include "entry.hpp"
#include "refusal.hpp"
#include "slots.hpp"

namespace fornax {
namespace {

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
    bug(PyExc_TypeError, "The miss function must return (result, entry | None), not %R.",
                 returned.get());
    return nullptr;
  }
  PyObject* entry = PyTuple_GET_ITEM(returned.get(), 1);
  if (entry != Py_None && Py_TYPE(entry) != entry_type) {
    bug(PyExc_TypeError, "The miss function must return an Entry or None, not %s.",
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
    bug(PyExc_RuntimeError, "The jitted function was already collected.");
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

// --- JitFunction ------------------------------------------------------------------------------

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
     "key_description($self, args, kwargs, /)\n--\n\n"
     "(leaves, structure, statics, settings): what the key of a call consists of: per leaf (kind, dtype, shape, weak_type) in the order\n"
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
  return add_type(module, &jit_spec) != nullptr;
}

}  // namespace fornax
