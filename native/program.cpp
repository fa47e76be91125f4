// The Python type of programs.
#include "program.hpp"

#include <structmember.h>

#include <cstddef>

#include "allocator.hpp"
#include "refusal.hpp"

namespace fornax {

PyTypeObject* program_type = nullptr;

namespace {

// The operand for an Array or ndarray given to run(); `holder` owns a conforming copy if needed.
bool read_operand(PyObject* object, bool donated, Operand& operand, Ref& holder) {
  if (is_array(object)) {
    Buffer* buffer = live_buffer(as_array(object));
    if (!buffer) return false;
    operand = {buffer->data, retain(as_array(object)->aval), object, donated};
    return true;
  }
  if (!PyArray_Check(object)) {
    bug(PyExc_TypeError, "Program.run() takes Arrays and ndarrays, got %s.",
                 Py_TYPE(object)->tp_name);
    return false;
  }
  auto* ndarray = reinterpret_cast<PyArrayObject*>(object);
  const DType* dtype = intern_descr(PyArray_DESCR(ndarray));
  if (!dtype) return false;
  holder = Ref::steal(conform_ndarray(ndarray, dtype));
  if (!holder) return false;
  Aval* aval = intern_aval(
      dtype, {PyArray_DIMS(ndarray), static_cast<size_t>(PyArray_NDIM(ndarray))}, false);
  if (!aval) return false;
  operand = {PyArray_DATA(reinterpret_cast<PyArrayObject*>(holder.get())), aval, nullptr, false};
  return true;
}

PyObject* run_method(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count < 1 || count > 2) {
    bug(PyExc_TypeError, "Program.run(arrays, donated=()) takes one or two arguments.");
    return nullptr;
  }
  Program* program = as_program(self);
  Ref list = as_sequence(args[0], nullptr, "Program.run() takes a list of arrays");
  Ref flags = count == 2 ? as_sequence(args[1], nullptr, "`donated` must be a sequence")
                         : Ref::steal(PyTuple_New(0));
  if (!list || !flags) return nullptr;
  auto size = static_cast<size_t>(PySequence_Fast_GET_SIZE(list.get()));
  auto flag_count = static_cast<size_t>(PySequence_Fast_GET_SIZE(flags.get()));
  std::vector<Operand> operands;
  std::vector<Ref> holders(size);
  std::vector<PyObject*> outputs(program->plan->outputs.size());
  bool read = true;
  for (size_t i = 0; read && i < size; ++i) {
    auto position = static_cast<Py_ssize_t>(i);
    bool donated = i < flag_count && PySequence_Fast_GET_ITEM(flags.get(), position) == Py_True;
    Operand operand;
    read = read_operand(PySequence_Fast_GET_ITEM(list.get(), position), donated, operand,
                        holders[i]);
    if (read) operands.push_back(operand);
  }
  bool ran = read && run_program(program, operands.data(), size, outputs.data());
  for (Operand& operand : operands) release(operand.aval);
  if (!ran) return nullptr;
  PyObject* result = PyList_New(static_cast<Py_ssize_t>(outputs.size()));
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (result) PyList_SET_ITEM(result, static_cast<Py_ssize_t>(i), outputs[i]);
    else Py_DECREF(outputs[i]);
  }
  return result;
}

PyObject* new_program(PyTypeObject* type, PyObject* args, PyObject* names) {
  PyObject* name = nullptr;
  auto plan = build_plan(args, names, &name);
  if (!plan) return nullptr;
  PyObject* self = type->tp_alloc(type, 0);
  if (!self) return nullptr;
  Program* program = as_program(self);
  program->plan = plan.release();
  program->name = Py_NewRef(name);
  program->frames = new std::vector<std::unique_ptr<Frame>>();
  return self;
}

int traverse_program(PyObject* self, visitproc visit, void* arg) {
  Program* program = as_program(self);
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(program->owner);
  if (program->plan)
    for (PyObject* callable : program->plan->callables) Py_VISIT(callable);
  return 0;
}

void delete_frames(Program* program) {
  if (program->frames)
    for (auto& frame : *program->frames)
      deallocate(frame->arena, static_cast<size_t>(program->plan->arena_bytes));
  delete std::exchange(program->frames, nullptr);
}

// A finalizer may still try to run a collected program; without frames it refuses.
int clear_program(PyObject* self) {
  delete_frames(as_program(self));
  Py_CLEAR(as_program(self)->owner);
  return 0;
}

void dealloc_program(PyObject* self) {
  Program* program = as_program(self);
  PyObject_GC_UnTrack(self);
  if (program->weak_references) PyObject_ClearWeakRefs(self);
  delete_frames(program);
  delete program->times;
  delete program->plan;
  Py_XDECREF(program->owner);
  Py_XDECREF(program->name);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* get_threads(PyObject* self, void*) {
  return PyLong_FromLongLong(as_program(self)->plan->table.threads);
}
PyObject* get_arena_bytes(PyObject* self, void*) {
  return PyLong_FromLongLong(as_program(self)->plan->arena_bytes);
}
PyObject* get_seconds(PyObject* self, void*) {
  return PyFloat_FromDouble(static_cast<double>(as_program(self)->nanoseconds) * 1e-9);
}
PyObject* get_step_seconds(PyObject* self, void*) {
  Program* program = as_program(self);
  size_t count = program->plan->table.steps.size();
  Ref list = Ref::steal(PyList_New(static_cast<Py_ssize_t>(count)));
  for (size_t i = 0; list && i < count; ++i) {
    StepTime time = program->times ? (*program->times)[i] : StepTime{};
    PyObject* pair = Py_BuildValue("(dL)", static_cast<double>(time.nanoseconds) * 1e-9,
                                   static_cast<long long>(time.calls));
    if (!pair) return nullptr;
    PyList_SET_ITEM(list.get(), static_cast<Py_ssize_t>(i), pair);
  }
  return list.release();
}

PyObject* set_profiling(PyObject*, PyObject* value) {
  int truth = PyObject_IsTrue(value);
  if (truth < 0) return nullptr;
  profiling = truth;
  Py_RETURN_NONE;
}

PyObject* set_on_event(PyObject*, PyObject* value) {
  if (value != Py_None && !PyCallable_Check(value)) {
    bug(PyExc_TypeError, "set_on_event() takes a callable or None.");
    return nullptr;
  }
  Py_XDECREF(std::exchange(on_event, value == Py_None ? nullptr : Py_NewRef(value)));
  Py_RETURN_NONE;
}

PyMethodDef program_methods[] = {
    {"run", method(run_method), METH_FASTCALL,
     "run($self, arrays, donated=(), /)\n--\n\n"
     "Run on Arrays or ndarrays of the declared types; TypeError for others. Inputs whose flag\n"
     "in `donated` is true are deleted, and outputs may reuse their memory."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef program_getset[] = {
    {"arena_bytes", get_arena_bytes, nullptr, "Working memory of one run.", nullptr},
    {"threads", get_threads, nullptr, "The most threads that may work on a run at once.", nullptr},
    {"seconds", get_seconds, nullptr, "Time spent in runs while profiling was on.", nullptr},
    {"step_seconds", get_step_seconds, nullptr,
     "Per step (seconds, calls) while profiling was on.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef program_members[] = {
    {"name", T_OBJECT_EX, offsetof(Program, name), READONLY, "The name given at construction."},
    {"owner", T_OBJECT, offsetof(Program, owner), 0, "Kept alive with the program."},
    {"calls", T_LONGLONG, offsetof(Program, calls), READONLY, "The number of runs."},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Program, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot program_slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(new_program)},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_program)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse_program)},
    {Py_tp_clear, reinterpret_cast<void*>(clear_program)},
    {Py_tp_methods, program_methods},
    {Py_tp_getset, program_getset},
    {Py_tp_members, program_members},
    {Py_tp_doc,
     const_cast<char*>("Program(name, slots, inputs, constants, arena_bytes, arena_slots, "
                       "outputs, steps, callables, flush=False, threads=0)\n\nA table of kernel calls and the memory "
                       "they work on; see native/README.md for the steps.")},
    {0, nullptr},
};

PyType_Spec program_spec = {"fornax._native.Program", sizeof(Program), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, program_slots};

PyMethodDef program_functions[] = {
    {"set_profiling", set_profiling, METH_O,
     "set_profiling(on, /)\n--\n\nAccumulate the time of programs and their steps."},
    {"set_on_event", set_on_event, METH_O,
     "set_on_event(function, /)\n--\n\nCall function(kind, name, seconds) when a call finds its "
     "program (CacheHit) and after every run (Executed); None stops it."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool register_programs(PyObject* module) {
  program_type = add_type(module, &program_spec);
  return program_type && PyModule_AddFunctions(module, program_functions) == 0;
}

}  // namespace fornax
