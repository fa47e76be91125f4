#include "eager.hpp"

#include <structmember.h>

#include <cstddef>

#include "call_cache.hpp"
#include "entry.hpp"
#include "refusal.hpp"
#include "slots.hpp"

namespace fornax {
namespace {

// What a call costs beside the operations in it, in seconds; and one that a program answers. The
// costs are estimates, not times: when a call is compiled, which may change last bits, must not
// depend on how fast the machine happens to be.
constexpr double call_cost = 5e-6, answer_cost = 2e-6;

// What is known about one kind of call: what it has cost, then what was compiled for it.
struct Tally {
  PyObject_HEAD
  PyObject* entry;  // Entry, or null
  double spent;     // seconds in the function itself, by estimate
  bool settled;     // compiled, or never to be
};

PyTypeObject* tally_type = nullptr;
Tally* as_tally(PyObject* object) { return reinterpret_cast<Tally*>(object); }

struct EagerFunction {
  PyObject_HEAD
  vectorcallfunc vectorcall;
  PyObject* function;
  PyObject* promote;
  double after;  // seconds, by estimate
  PyObject* dictionary;
  PyObject* weak_references;
  Statics* statics;
  Cache* cache;
};

EagerFunction* as_eager(PyObject* object) { return reinterpret_cast<EagerFunction*>(object); }

// New reference to what is known about the call; null when that cannot be told, no error set.
// `result` is set if the call could be answered at once, `answered` tells so.
PyObject* look_up(EagerFunction* self, const Arguments& arguments, PyObject*& result,
                  bool& answered) {
  BorrowedCall call;
  answered = false;
  Reading reading = call->read(arguments, *self->statics);
  if (reading != Reading::keyed) {
    PyErr_Clear();  // the function says it better
    return nullptr;
  }
  Ref tally = Ref::borrow(self->cache->newest(*call));
  if (!tally) {
    uint64_t hash = 0;
    bool failed = false;
    if (call->hash_key(hash)) tally = Ref::steal(self->cache->find(*call, hash, failed));
    else failed = true;
    if (failed) {
      PyErr_Clear();
      return nullptr;
    }
    if (!tally) {
      Ref key = Ref::steal(call->make_key(hash));
      tally = Ref::steal(key ? tally_type->tp_alloc(tally_type, 0) : nullptr);
      if (!tally) PyErr_Clear();
      else self->cache->insert(key.get(), tally.get());
      return tally.release();
    }
  }
  if (as_tally(tally.get())->entry) {
    Ref entry = Ref::borrow(as_tally(tally.get())->entry);
    answered = true;
    slots.work += answer_cost;
    result = run_entry(as_entry(entry.get()), *call);
  }
  return tally.release();
}

// What the setting `eager` says; part of the key of a tally.
enum class Mode { tiered, compiled, reference, failed };

Mode chosen_mode() {
  Ref mode = Ref::steal(PyObject_GetAttrString(current_settings(), "eager"));
  if (!mode) return Mode::failed;
  if (!PyUnicode_Check(mode.get())) return Mode::tiered;
  if (PyUnicode_CompareWithASCIIString(mode.get(), "compiled") == 0) return Mode::compiled;
  if (PyUnicode_CompareWithASCIIString(mode.get(), "reference") == 0) return Mode::reference;
  return Mode::tiered;
}

// Asks Python for a compiled form of this kind of call; false with an error set.
bool promote(EagerFunction* self, const Arguments& arguments, Tally* tally) {
  tally->settled = true;  // whatever comes out; and a call within does not ask again
  Ref args = Ref::steal(PyTuple_New(arguments.positional));
  Ref kwargs = Ref::steal(PyDict_New());
  if (!args || !kwargs) return false;
  for (Py_ssize_t i = 0; i < arguments.positional; ++i)
    PyTuple_SET_ITEM(args.get(), i, Py_NewRef(arguments.values[i]));
  for (Py_ssize_t i = 0; arguments.names && i < PyTuple_GET_SIZE(arguments.names); ++i)
    if (PyDict_SetItem(kwargs.get(), PyTuple_GET_ITEM(arguments.names, i),
                       arguments.values[arguments.positional + i]) < 0)
      return false;
  PyObject* values[] = {as_object(self), args.get(), kwargs.get()};
  Ref compile = Ref::borrow(self->promote);
  Ref entry = Ref::steal(PyObject_Vectorcall(compile.get(), values, 3, nullptr));
  if (!entry) return false;
  if (entry.get() == Py_None) return true;
  if (Py_TYPE(entry.get()) != entry_type) {
    bug(PyExc_TypeError, "The promote function must return an Entry or None, not %s.",
                 Py_TYPE(entry.get())->tp_name);
    return false;
  }
  Py_XSETREF(tally->entry, entry.release());
  return true;
}

PyObject* call_eager(PyObject* object, PyObject* const* values, size_t flagged, PyObject* names) {
  EagerFunction* self = as_eager(object);
  Ref function = Ref::borrow(self->function);
  if (!function) {
    bug(PyExc_RuntimeError, "The function was already collected.");
    return nullptr;
  }
  if (slots.trace || !self->cache)
    return PyObject_Vectorcall(function.get(), values, flagged, names);
  Ref alive = Ref::borrow(object);
  Arguments arguments{values, PyVectorcall_NARGS(flagged), names};
  PyObject* result = nullptr;
  bool answered = false;
  Ref known = Ref::steal(look_up(self, arguments, result, answered));
  if (answered) return result;
  Tally* tally = known ? as_tally(known.get()) : nullptr;
  if (!tally || tally->settled)
    return PyObject_Vectorcall(function.get(), values, flagged, names);
  if (tally->spent > 0 && tally->spent > self->after) {  // never before it is known to work
    if (!promote(self, arguments, tally)) return nullptr;
    known = Ref::steal(look_up(self, arguments, result, answered));
    return answered ? result : PyObject_Vectorcall(function.get(), values, flagged, names);
  }
  slots.work += call_cost;
  double before = slots.work - call_cost;
  Ref value = Ref::steal(PyObject_Vectorcall(function.get(), values, flagged, names));
  tally->spent += slots.work - before;
  if (!value || value.get() == Py_NotImplemented) {
    tally->settled = true;  // nothing to compile
    return value.release();
  }
  switch (chosen_mode()) {
    case Mode::failed: return nullptr;
    case Mode::tiered: break;
    case Mode::reference: tally->settled = true; break;
    case Mode::compiled:
      if (!promote(self, arguments, tally)) return nullptr;
      known = Ref::steal(look_up(self, arguments, result, answered));
      if (answered) return result;
  }
  return value.release();
}

// --- EagerFunction ----------------------------------------------------------------------------

PyObject* new_eager(PyTypeObject* type, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"function",        "promote", "after", "static_argnums",
                                   "static_argnames", nullptr};
  PyObject *function, *promote, *positions = nullptr, *static_names = nullptr;
  double after;
  if (!PyArg_ParseTupleAndKeywords(args, names, "OOd|O!O!:EagerFunction",
                                   const_cast<char**>(keywords), &function, &promote, &after,
                                   &PyTuple_Type, &positions, &PyTuple_Type, &static_names))
    return nullptr;
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  EagerFunction* eager = as_eager(self);
  eager->vectorcall = call_eager;
  eager->function = Py_NewRef(function);
  eager->promote = Py_NewRef(promote);
  eager->after = after;
  eager->statics = new Statics();
  eager->statics->exact = true;
  eager->cache = new Cache();
  if (read_statics(positions, static_names, *eager->statics)) return self;
  Py_DECREF(self);
  return nullptr;
}

int traverse_eager(PyObject* self, visitproc visit, void* arg) {
  EagerFunction* eager = as_eager(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(eager->function);
  Py_VISIT(eager->promote);
  Py_VISIT(eager->dictionary);
  if (eager->cache)
    for (const Cache::Item& item : eager->cache->items()) {
      Py_VISIT(as_object(item.key));
      Py_VISIT(item.entry);
    }
  return 0;
}

int clear_eager(PyObject* self) {
  EagerFunction* eager = as_eager(self);
  delete std::exchange(eager->cache, nullptr);
  Py_CLEAR(eager->function);
  Py_CLEAR(eager->promote);
  Py_CLEAR(eager->dictionary);
  return 0;
}

void dealloc_eager(PyObject* self) {
  EagerFunction* eager = as_eager(self);
  PyObject_GC_UnTrack(self);
  if (eager->weak_references) PyObject_ClearWeakRefs(self);
  clear_eager(self);
  delete_statics(std::exchange(eager->statics, nullptr));
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* bind_eager(PyObject* self, PyObject* instance, PyObject*) {
  return instance && instance != Py_None ? PyMethod_New(self, instance) : Py_NewRef(self);
}

PyObject* represent_eager(PyObject* self) {
  Ref name = Ref::steal(PyObject_GetAttrString(self, "__qualname__"));
  if (!name) PyErr_Clear();
  return name ? PyUnicode_FromFormat("<function %S at %p>", name.get(), self)
              : PyUnicode_FromFormat("<function at %p>", self);
}

// Pickled by name, like Python's functions.
PyObject* reduce_eager(PyObject* self, PyObject*) {
  return PyObject_GetAttrString(self, "__qualname__");
}

PyObject* clear_cache(PyObject* self, PyObject*) {
  if (as_eager(self)->cache) as_eager(self)->cache->clear();
  Py_RETURN_NONE;
}

PyObject* tallies(PyObject* self, PyObject*) {
  Ref list = Ref::steal(PyList_New(0));
  if (!list || !as_eager(self)->cache) return list.release();
  for (const Cache::Item& item : as_eager(self)->cache->items()) {
    Tally* tally = as_tally(item.entry);
    Ref pair = Ref::steal(Py_BuildValue("(dO)", tally->spent, tally->entry ? tally->entry : Py_None));
    if (!pair || PyList_Append(list.get(), pair.get()) < 0) return nullptr;
  }
  return list.release();
}

PyMethodDef eager_methods[] = {
    {"clear_cache", clear_cache, METH_NOARGS, "Forget all costs and what was compiled."},
    {"tallies", tallies, METH_NOARGS,
     "tallies($self, /)\n--\n\n[(seconds spent, Entry | None)]: one per kind of call."},
    {"__reduce__", reduce_eager, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef eager_members[] = {
    {"function", T_OBJECT, offsetof(EagerFunction, function), READONLY, "What it calls."},
    {"after", T_DOUBLE, offsetof(EagerFunction, after), 0,
     "Seconds of one kind of call, by estimate, after which it is compiled."},
    {"__dictoffset__", T_PYSSIZET, offsetof(EagerFunction, dictionary), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(EagerFunction, weak_references), READONLY,
     nullptr},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(EagerFunction, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyGetSetDef eager_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot eager_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_eager)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_eager)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse_eager)},
    {Py_tp_clear, reinterpret_cast<void*>(clear_eager)},
    {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
    {Py_tp_descr_get, reinterpret_cast<void*>(bind_eager)},
    {Py_tp_repr, reinterpret_cast<void*>(represent_eager)},
    {Py_tp_methods, eager_methods},
    {Py_tp_members, eager_members},
    {Py_tp_getset, eager_getset},
    {Py_tp_doc,
     const_cast<char*>(
         "EagerFunction(function, promote, after, static_argnums=(), static_argnames=())\n\n"
         "Calls the function. Outside of transformations, when one kind of call (types of the\n"
         "arguments, values of the static ones, settings) has cost `after` seconds by estimate,\n"
         "promote(self, args, kwargs) may give an Entry, which serves such calls from then on.\n"
         "The setting `eager` may say \"compiled\", from the first one on, or \"reference\", never.")},
    {0, nullptr},
};

PyType_Spec eager_spec = {
    "fornax._native.EagerFunction", sizeof(EagerFunction), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
        Py_TPFLAGS_METHOD_DESCRIPTOR,
    eager_slots};

int traverse_tally(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_tally(self)->entry);
  return 0;
}

int clear_tally(PyObject* self) {
  Py_CLEAR(as_tally(self)->entry);
  return 0;
}

void dealloc_tally(PyObject* self) {
  PyObject_GC_UnTrack(self);
  clear_tally(self);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot tally_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_tally)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse_tally)},
    {Py_tp_clear, reinterpret_cast<void*>(clear_tally)},
    {0, nullptr},
};

PyType_Spec tally_spec = {
    "fornax._native.Tally", sizeof(Tally), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, tally_slots};

}  // namespace

bool register_eager(PyObject* module) {
  tally_type = add_type(module, &tally_spec);
  return tally_type && add_type(module, &eager_spec) != nullptr;
}

}  // namespace fornax
