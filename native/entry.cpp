#include "entry.hpp"

#include <structmember.h>

#include <algorithm>
#include <cstddef>
#include <memory>

#include "pytree.hpp"
#include "refusal.hpp"

namespace fornax {

PyTypeObject* entry_type = nullptr;

PyObject* run_entry(const Entry* entry, const Call& call) {
  if (call.operands.size() < entry->leaves_needed) {
    bug(PyExc_ValueError, "The entry reads leaf %zu of a call with %zu leaves.",
                 entry->leaves_needed - 1, call.operands.size());
    return nullptr;
  }
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
  // Only now: a listener might delete an operand.
  if (on_event) announce("CacheHit", program, 0);
  bool complete = true;
  for (Py_ssize_t i = 0; complete && i < PyTuple_GET_SIZE(entry->wraps); ++i) {
    PyObject* wrap = PyTuple_GET_ITEM(entry->wraps, i);
    if (wrap == Py_None) continue;
    PyObject* wrapped = PyObject_CallOneArg(wrap, results[i]);
    complete = wrapped != nullptr;
    if (complete) Py_SETREF(results[i], wrapped);
  }
  if (complete && entry->returns_leaf && outputs == 1) return results[0];
  PyObject* result = complete ? unflatten(entry->out_structure, results, outputs) : nullptr;
  for (size_t i = 0; i < outputs; ++i) Py_DECREF(results[i]);
  return result;
}

namespace {

PyObject* new_entry(PyTypeObject* type, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"program",       "kept",    "extra",
                                   "out_structure", "donated", "wraps", nullptr};
  PyObject *program, *kept, *extra, *structure, *donated;
  Ref wraps = Ref::steal(PyTuple_New(0));
  PyObject* given_wraps = wraps.get();
  if (!PyArg_ParseTupleAndKeywords(args, names, "O!O!O!OO!|O!:Entry", const_cast<char**>(keywords),
                                   program_type, &program, &PyTuple_Type, &kept, &PyTuple_Type,
                                   &extra, &structure, &PyTuple_Type, &donated, &PyTuple_Type,
                                   &given_wraps))
    return nullptr;
  Py_ssize_t wrap_count = PyTuple_GET_SIZE(given_wraps);
  if (wrap_count && static_cast<size_t>(wrap_count) != as_program(program)->plan->outputs.size()) {
    bug(PyExc_ValueError, "Entry: the program has %zu outputs, but wraps has %zd items.",
                 as_program(program)->plan->outputs.size(), wrap_count);
    return nullptr;
  }
  bool wraps_any = false;
  for (Py_ssize_t i = 0; i < wrap_count; ++i)
    wraps_any = wraps_any || PyTuple_GET_ITEM(given_wraps, i) != Py_None;
  if (!is_structure(structure)) {
    bug(PyExc_TypeError, "Entry: out_structure must be a PyTreeDef, got %s.",
                 Py_TYPE(structure)->tp_name);
    return nullptr;
  }
  Py_ssize_t inputs = PyTuple_GET_SIZE(kept) + PyTuple_GET_SIZE(extra);
  if (PyTuple_GET_SIZE(donated) != inputs ||
      static_cast<size_t>(inputs) != as_program(program)->plan->inputs.size()) {
    bug(PyExc_ValueError,
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
      if (!PyErr_Occurred()) bug(PyExc_ValueError, "Entry: negative leaf index.");
      return nullptr;
    }
    leaves->push_back(static_cast<uint32_t>(leaf));
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(extra); ++i)
    if (!is_array(PyTuple_GET_ITEM(extra, i))) {
      bug(PyExc_TypeError, "Entry: extra must be a tuple of Arrays.");
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
  entry->wraps = Py_NewRef(wraps_any ? given_wraps : wraps.get());
  entry->leaves = leaves.release();
  entry->donations = donations.release();
  for (uint32_t leaf : *entry->leaves)
    entry->leaves_needed = std::max<size_t>(entry->leaves_needed, leaf + size_t{1});
  entry->returns_leaf = structure == leaf_structure;
  return self;
}

int traverse_entry(PyObject* self, visitproc visit, void* arg) {
  Entry* entry = as_entry(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(entry->program);
  Py_VISIT(entry->wraps);
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
  Py_XDECREF(entry->wraps);
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
    {"wraps", T_OBJECT_EX, offsetof(Entry, wraps), READONLY,
     "Per output: what turns the Array into the result's leaf, or None."},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot entry_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_entry)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_entry)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse_entry)},
    {Py_tp_members, entry_members},
    {Py_tp_doc,
     const_cast<char*>("Entry(program, kept, extra, out_structure, donated, wraps=())\n\n"
                       "A compiled call: which leaves go into which program, what comes out.")},
    {0, nullptr},
};

PyType_Spec entry_spec = {"fornax._native.Entry", sizeof(Entry), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, entry_slots};

}  // namespace

bool register_entries(PyObject* module) {
  entry_type = add_type(module, &entry_spec);
  return entry_type != nullptr;
}

}  // namespace fornax
