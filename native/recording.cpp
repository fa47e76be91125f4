#include "recording.hpp"

#include <structmember.h>

#include <cstddef>
#include <memory>
#include <unordered_map>

#include "exact.hpp"
#include "refusal.hpp"
#include "slots.hpp"

namespace fornax {
namespace {

// Makes instances of a Python class and reads and fills its __slots__, without its __init__.
class Layout {
 public:
  // False with an error set.
  template <size_t count>
  bool read(PyObject* kind, const char* const (&names)[count], Py_ssize_t (&offsets)[count]) {
    if (!PyType_Check(kind)) {
      bug(PyExc_TypeError, "%R is no class", kind);
      return false;
    }
    for (size_t i = 0; i < count; ++i) {
      Ref found = Ref::steal(PyObject_GetAttrString(kind, names[i]));
      if (!found) return false;
      if (Py_TYPE(found.get()) != &PyMemberDescr_Type) {
        bug(PyExc_TypeError, "%R has no slot %s", kind, names[i]);
        return false;
      }
      offsets[i] = reinterpret_cast<PyMemberDescrObject*>(found.get())->d_member->offset;
    }
    Py_XSETREF(type_, reinterpret_cast<PyTypeObject*>(Py_NewRef(kind)));
    return true;
  }
  bool is_of(PyObject* object) const { return Py_TYPE(object) == type_; }
  PyObject* make() const { return type_->tp_alloc(type_, 0); }

 private:
  PyTypeObject* type_ = nullptr;
};

PyObject*& slot(PyObject* object, Py_ssize_t offset) {
  return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(object) + offset);
}

// The classes of transforms.stage and ir.jaxpr, and where their fields are.
struct {
  Layout stage, tracer, var, equation;
  Py_ssize_t of_stage[3], of_tracer[3], of_var[1], of_equation[5];
  bool ready = false;
} classes;

constexpr const char* stage_fields[] = {"equations", "partial", "alive"};
constexpr const char* tracer_fields[] = {"atom", "type", "_trace"};
constexpr const char* var_fields[] = {"type"};
constexpr const char* equation_fields[] = {"primitive", "inputs", "params", "outputs", "source"};

PyObject* evaluate = nullptr;  // (primitive, operands, params) -> results, outside of every trace
PyObject* name_lift = nullptr;
PyObject* name_process = nullptr;
PyObject* name_type = nullptr;

// --- places in the user's program -------------------------------------------------------------

PyTypeObject* place_type = nullptr;  // a tuple (code, offset of the instruction)
PyObject* ask_inside = nullptr;      // code -> whether it is part of Fornax and the like

// By identity; the codes are kept, so that no other ones take their addresses.
std::unordered_map<PyObject*, bool>& known_codes() {
  static auto* table = new std::unordered_map<PyObject*, bool>();
  return *table;
}

// 1 for code that is part of Fornax, 0 for others, -1 with an error set.
int is_inside(PyObject* code) {
  auto found = known_codes().find(code);
  if (found != known_codes().end()) return found->second;
  Ref answer = Ref::steal(PyObject_CallOneArg(ask_inside, code));
  int inside = answer ? PyObject_IsTrue(answer.get()) : -1;
  if (inside >= 0 && known_codes().emplace(code, inside).second) Py_INCREF(code);
  return inside;
}

// New reference to the place of the innermost caller outside, or None.
PyObject* find_place() {
  if (slots.place) return Py_NewRef(slots.place);
  if (!place_type) Py_RETURN_NONE;
  Ref frame = Ref::borrow(as_object(PyEval_GetFrame()));
  while (frame) {
    auto* current = reinterpret_cast<PyFrameObject*>(frame.get());
    Ref code = Ref::steal(as_object(PyFrame_GetCode(current)));
    int inside = is_inside(code.get());
    if (inside < 0) return nullptr;
    if (!inside) {
      Ref offset = Ref::steal(PyLong_FromLong(PyFrame_GetLasti(current)));
      Ref place = Ref::steal(offset ? place_type->tp_alloc(place_type, 2) : nullptr);
      if (!place) return nullptr;
      PyTuple_SET_ITEM(place.get(), 0, code.release());
      PyTuple_SET_ITEM(place.get(), 1, offset.release());
      return place.release();
    }
    frame = Ref::steal(as_object(PyFrame_GetBack(current)));
  }
  Py_RETURN_NONE;
}

PyObject* here(PyObject*, PyObject*) { return find_place(); }

PyObject* stand_for(PyObject*, PyObject* place) { return swap_slot(slots.place, place); }

PyObject* set_places(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 2 || !PyType_Check(args[0]) ||
      !PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(args[0]), &PyTuple_Type))
    return bug(PyExc_TypeError, "set_places() takes a class of tuples and a function");
  Py_XSETREF(place_type, reinterpret_cast<PyTypeObject*>(Py_NewRef(args[0])));
  Py_XSETREF(ask_inside, Py_NewRef(args[1]));
  Py_RETURN_NONE;
}

// --- equations --------------------------------------------------------------------------------

// The base of primitives.
struct Operation {
  PyObject_HEAD
  PyObject* known;  // owned; the types of results by those of operands and params; or None, null
};

PyTypeObject* operation_type = nullptr;
Operation* as_operation(PyObject* object) { return reinterpret_cast<Operation*>(object); }

// How many types are remembered per primitive.
constexpr Py_ssize_t remembered = 1024;

// New reference to what results are looked up by: types, then names and values of params.
Ref key_of(PyObject* const* types, Py_ssize_t count, PyObject* params) {
  Ref key = Ref::steal(PyTuple_New(count + 2 * PyDict_GET_SIZE(params)));
  if (!key) return key;
  for (Py_ssize_t i = 0; i < count; ++i) PyTuple_SET_ITEM(key.get(), i, Py_NewRef(types[i]));
  PyObject *name, *value;
  for (Py_ssize_t at = 0; PyDict_Next(params, &at, &name, &value); count += 2) {
    PyTuple_SET_ITEM(key.get(), count, Py_NewRef(name));
    PyTuple_SET_ITEM(key.get(), count + 1, Py_NewRef(value));
  }
  return key;
}

// What the rule `type` of a primitive gives, as a list or tuple. values: the primitive, then types.
Ref ask_rule(PyObject* const* values, Py_ssize_t count, PyObject* params) {
  Ref made;
  if (PyDict_GET_SIZE(params) == 0) {
    made = Ref::steal(PyObject_VectorcallMethod(name_type, values, count + 1, nullptr));
  } else {
    Ref rule = Ref::steal(PyObject_GetAttr(values[0], name_type));
    if (rule) made = Ref::steal(PyObject_VectorcallDict(rule.get(), values + 1, count, params));
  }
  if (!made) return made;
  return as_sequence(made.get(), "[type] for one result",
                     "A primitive's rule `type` must return a list of types");
}

// Whether what was remembered under one key is for the params of another, to which it is equal:
// (2.0,) is equal to (2,), and no shape. -1 with an error set.
int same_params(PyObject* known, PyObject* asked, Py_ssize_t first) {
  int same = 1;
  for (Py_ssize_t i = first; same == 1 && i < PyTuple_GET_SIZE(asked); ++i)
    same = exactly_equal(PyTuple_GET_ITEM(known, i), PyTuple_GET_ITEM(asked, i));
  return same;
}

// The same, asked once where a primitive remembers: (key, types) by key.
Ref recall(PyObject* const* values, Py_ssize_t count, PyObject* params) {
  Ref known = Ref::borrow(as_operation(values[0])->known);
  if (!known || !PyDict_Check(known.get())) return ask_rule(values, count, params);
  Ref key = key_of(values + 1, count, params);
  if (!key) return key;
  Ref found = Ref::borrow(PyDict_GetItemWithError(known.get(), key.get()));
  if (found) {
    int same = same_params(PyTuple_GET_ITEM(found.get(), 0), key.get(), count);
    if (same < 0) return Ref();
    if (same) return Ref::borrow(PyTuple_GET_ITEM(found.get(), 1));
  }
  bool hashable = !PyErr_Occurred();
  PyErr_Clear();  // a param may be a list
  Ref types = ask_rule(values, count, params);
  if (!types || !hashable) return types;
  if (PyDict_GET_SIZE(known.get()) >= remembered) PyDict_Clear(known.get());
  found = Ref::steal(PyTuple_Pack(2, key.get(), types.get()));
  if (!found || PyDict_SetItem(known.get(), key.get(), found.get()) < 0) return Ref();
  return types;
}

// New reference to the variable or literal for an operand.
PyObject* atom_of(PyObject* stage, PyObject* operand) {
  if (classes.tracer.is_of(operand) && slot(operand, classes.of_tracer[2]) == stage)
    if (PyObject* atom = slot(operand, classes.of_tracer[0])) return Py_NewRef(atom);
  return PyObject_CallMethodOneArg(stage, name_lift, operand);
}

// The types of the results, as a list or tuple.
Ref types_of_results(PyObject* primitive, PyObject* atoms, PyObject* params) {
  constexpr Py_ssize_t few = 8;
  Py_ssize_t count = PyTuple_GET_SIZE(atoms);
  Ref on_stack[few];
  std::unique_ptr<Ref[]> on_heap(count > few ? new Ref[count] : nullptr);
  Ref* types = on_heap ? on_heap.get() : on_stack;
  PyObject* few_values[few + 1];
  std::unique_ptr<PyObject*[]> many_values(on_heap ? new PyObject*[count + 1] : nullptr);
  PyObject** values = many_values ? many_values.get() : few_values;
  values[0] = primitive;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* atom = PyTuple_GET_ITEM(atoms, i);
    PyObject* known = classes.var.is_of(atom) ? slot(atom, classes.of_var[0]) : nullptr;
    types[i] = known ? Ref::borrow(known) : Ref::steal(PyObject_GetAttr(atom, name_type));
    if (!types[i]) return Ref();
    values[i + 1] = types[i].get();
  }
  return recall(values, count, params);
}

// Appends the equation to the stage; the list of the tracers of its results.
PyObject* add_equation(PyObject* stage, PyObject* primitive, PyObject* const* operands,
                       Py_ssize_t count, PyObject* params) {
  Ref inputs = Ref::steal(PyTuple_New(count));
  if (!inputs) return nullptr;
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* atom = atom_of(stage, operands[i]);
    if (!atom) return nullptr;
    PyTuple_SET_ITEM(inputs.get(), i, atom);
  }
  Ref types = types_of_results(primitive, inputs.get(), params);
  if (!types) return nullptr;
  Py_ssize_t width = PySequence_Fast_GET_SIZE(types.get());
  Ref outputs = Ref::steal(PyTuple_New(width));
  Ref results = Ref::steal(outputs ? PyList_New(width) : nullptr);
  if (!results) return nullptr;
  for (Py_ssize_t i = 0; i < width; ++i) {
    PyObject* type = PySequence_Fast_GET_ITEM(types.get(), i);
    PyObject* var = classes.var.make();
    if (!var) return nullptr;
    PyTuple_SET_ITEM(outputs.get(), i, var);
    slot(var, classes.of_var[0]) = Py_NewRef(type);
    PyObject* tracer = classes.tracer.make();
    if (!tracer) return nullptr;
    PyList_SET_ITEM(results.get(), i, tracer);
    PyObject* fields[] = {var, type, stage};
    for (int k = 0; k < 3; ++k) slot(tracer, classes.of_tracer[k]) = Py_NewRef(fields[k]);
  }
  Ref place = Ref::steal(find_place());
  Ref equation = Ref::steal(place ? classes.equation.make() : nullptr);
  if (!equation) return nullptr;
  PyObject* fields[] = {primitive, inputs.get(), params, outputs.get(), place.get()};
  for (int k = 0; k < 5; ++k) slot(equation.get(), classes.of_equation[k]) = Py_NewRef(fields[k]);
  PyObject* equations = slot(stage, classes.of_stage[0]);
  if (!equations || PyList_Append(equations, equation.get()) < 0) return nullptr;
  return results.release();
}

PyObject* record(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 4 || !classes.ready || !classes.stage.is_of(args[0]) ||
      !PyObject_TypeCheck(args[1], operation_type) || !PyDict_Check(args[3]))
    return bug(PyExc_TypeError, "record() takes a stage, a primitive, its operands and params");
  Ref operands = as_sequence(args[2], nullptr, "record() takes a list of operands");
  if (!operands) return nullptr;
  return add_equation(args[0], args[1], PySequence_Fast_ITEMS(operands.get()),
                      PySequence_Fast_GET_SIZE(operands.get()), args[3]);
}

PyObject* set_recording(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 4)
    return bug(PyExc_TypeError, "set_recording() takes the classes of stages, tracers, variables "
                                "and equations");
  if (!classes.stage.read(args[0], stage_fields, classes.of_stage) ||
      !classes.tracer.read(args[1], tracer_fields, classes.of_tracer) ||
      !classes.var.read(args[2], var_fields, classes.of_var) ||
      !classes.equation.read(args[3], equation_fields, classes.of_equation))
    return nullptr;
  classes.ready = true;
  Py_RETURN_NONE;
}

// --- Operation --------------------------------------------------------------------------------

// Whether a trace does nothing with an operation but record it.
bool only_records(PyObject* trace) {
  return classes.ready && classes.stage.is_of(trace) &&
         slot(trace, classes.of_stage[1]) == Py_False &&
         slot(trace, classes.of_stage[2]) == Py_True;
}

// An operation outside of every trace, or under one that has more to do than to record it.
PyObject* process(PyObject* trace, PyObject* primitive, PyObject* const* operands,
                  Py_ssize_t count, PyObject* params) {
  Ref tuple = Ref::steal(PyTuple_New(count));
  if (!tuple) return nullptr;
  for (Py_ssize_t i = 0; i < count; ++i)
    PyTuple_SET_ITEM(tuple.get(), i, Py_NewRef(operands[i]));
  PyObject* values[] = {trace, primitive, tuple.get(), params};
  if (trace) return PyObject_VectorcallMethod(name_process, values, 4, nullptr);
  if (!evaluate) return bug(PyExc_RuntimeError, "import fornax.runtime.eager first");
  Ref called = Ref::borrow(evaluate);
  return PyObject_Vectorcall(called.get(), values + 1, 3, nullptr);
}

PyObject* bind(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  Ref params = Ref::steal(PyDict_New());
  if (!params) return nullptr;
  for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); ++i)
    if (PyDict_SetItem(params.get(), PyTuple_GET_ITEM(names, i), args[count + i]) < 0)
      return nullptr;
  if (!slots.trace) return process(nullptr, self, args, count, params.get());
  // While a rule runs, operations are the parent's.
  Ref trace = Ref::steal(std::exchange(slots.trace, nullptr));
  PyObject* results = only_records(trace.get())
                          ? add_equation(trace.get(), self, args, count, params.get())
                          : process(trace.get(), self, args, count, params.get());
  Ref left = Ref::steal(std::exchange(slots.trace, trace.release()));
  return results;
}

PyObject* set_evaluate(PyObject*, PyObject* function) {
  Py_XSETREF(evaluate, Py_NewRef(function));
  Py_RETURN_NONE;
}

PyMethodDef operation_methods[] = {
    {"bind", method(bind), METH_FASTCALL | METH_KEYWORDS,
     "Apply the operation under the current trace; returns the list of results."},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef operation_members[] = {
    {"known_types", T_OBJECT, offsetof(Operation, known), 0,
     "What `bind` remembers of the rule `type`, in a dict; None: it asks every time."},
    {nullptr, 0, 0, 0, nullptr},
};

int traverse_operation(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_operation(self)->known);
  return 0;
}

int clear_operation(PyObject* self) {
  Py_CLEAR(as_operation(self)->known);
  return 0;
}

void dealloc_operation(PyObject* self) {
  PyObject_GC_UnTrack(self);
  clear_operation(self);
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyType_Slot operation_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_operation)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse_operation)},
    {Py_tp_clear, reinterpret_cast<void*>(clear_operation)},
    {Py_tp_members, operation_members},
    {Py_tp_methods, operation_methods},
    {Py_tp_doc, const_cast<char*>("What is bound to operands: the base of primitives.")},
    {0, nullptr},
};

PyType_Spec operation_spec = {
    "fornax._native.Operation", sizeof(Operation), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, operation_slots};

}  // namespace

PyMethodDef recording_methods[] = {
    {"here", here, METH_NOARGS,
     "here()\n--\n\n"
     "The innermost caller that is not part of Fornax, or the place that it stands for."},
    {"stand_for", stand_for, METH_O,
     "stand_for(place, /)\n--\n\n"
     "What is done from now on stands for what was done there: `here` says so, until it is told\n"
     "otherwise (None: it looks for the user's line again). Returns what it was told before."},
    {"set_places", method(set_places), METH_FASTCALL,
     "set_places(place, is_inside, /)\n--\n\n"
     "The class of pairs of code and offset, and the function that knows Fornax's own code."},
    {"record", method(record), METH_FASTCALL,
     "record(stage, primitive, operands, params, /)\n--\n\n"
     "Append an equation to the stage; returns the tracers of its results."},
    {"set_recording", method(set_recording), METH_FASTCALL,
     "set_recording(stage, tracer, var, equation, /)\n--\n\n"
     "The classes that recording makes, and whose __slots__ it fills."},
    {"set_evaluate", set_evaluate, METH_O,
     "set_evaluate(function, /)\n--\n\n"
     "function(primitive, operands, params) performs operations outside of every trace."},
    {nullptr, nullptr, 0, nullptr},
};

bool register_recording(PyObject* module) {
  name_lift = PyUnicode_InternFromString("lift");
  name_process = PyUnicode_InternFromString("process");
  name_type = PyUnicode_InternFromString("type");
  if (!name_lift || !name_process || !name_type ||
      PyModule_AddFunctions(module, recording_methods) < 0)
    return false;
  operation_type = add_type(module, &operation_spec);
  return operation_type != nullptr;
}

}  // namespace fornax
