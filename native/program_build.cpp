// Turns the Python description of a program into its plan, checking every index on the way.
#include <cstring>

#include "program.hpp"
#include "refusal.hpp"
#include "threads.hpp"

namespace fornax {

Plan::~Plan() {
  for (Input& input : inputs) release(input.aval);
  for (Output& output : outputs) release(output.aval);
  for (HostCall& host : hosts) {
    for (HostArray& array : host.inputs) release(array.aval);
    for (HostArray& array : host.outputs) release(array.aval);
  }
  for (Constant& constant : constants) Py_DECREF(constant.array);
  for (PyObject* callable : callables) Py_DECREF(callable);
}

namespace {

// Errors travel as exceptions inside this file; the Python error is set before the throw.
struct Failed {};

[[noreturn]] void fail(PyObject* kind, const char* format, ...) {
  va_list values;
  va_start(values, format);
  bug_from(kind, format, values);
  va_end(values);
  throw Failed{};
}

class Builder {
 public:
  explicit Builder(Plan& plan) : plan_(plan) {}

  void constructor(PyObject* args, PyObject* names, PyObject** program_name) {
    static const char* keywords[] = {"name",        "slots",   "inputs", "constants", "arena_bytes",
                                     "arena_slots", "outputs", "steps",  "callables", "flush",
                                     "threads",     nullptr};
    int flush = 0, threads = 0;
    PyObject *inputs, *constants, *arena, *outputs, *steps, *callables;
    long long slots = 0, arena_bytes = 0;
    if (!PyArg_ParseTupleAndKeywords(args, names, "ULOOLOOOO|pi:Program",
                                     const_cast<char**>(keywords), program_name, &slots, &inputs,
                                     &constants, &arena_bytes, &arena, &outputs, &steps,
                                     &callables, &flush, &threads))
      throw Failed{};
    if (slots < 0 || slots >= no_slot || arena_bytes < 0)
      fail(PyExc_ValueError, "Program: slots and arena_bytes must not be negative.");
    plan_.table.flush = flush != 0;
    if (threads > 0) plan_.table.threads = threads;
    plan_.table.slots = static_cast<uint32_t>(slots);
    plan_.arena_bytes = arena_bytes;
    given_.assign(static_cast<size_t>(slots), false);
    each(inputs, "inputs", [&](PyObject* entry) { add_input(entry); });
    each(constants, "constants", [&](PyObject* entry) { add_constant(entry); });
    each(arena, "arena_slots", [&](PyObject* entry) { add_arena_slot(entry); });
    each(outputs, "outputs", [&](PyObject* entry) { add_output(entry); });
    each(callables, "callables",
         [&](PyObject* entry) { plan_.callables.push_back(Py_NewRef(entry)); });
    Ref list = as_sequence(steps, nullptr, "Program: steps must be a sequence of tuples");
    if (!list) throw Failed{};
    step_count_ = PySequence_Fast_GET_SIZE(list.get());
    define_addresses(list.get());
    each(list.get(), "steps", [&](PyObject* entry) { add_step(entry); });
    plan_.table.workers = thread_count();
    decide_interpreter_lock();
  }

 private:
  template <class Function>
  void each(PyObject* sequence, const char* what, Function function) {
    what_ = what;
    Ref list = as_sequence(sequence, nullptr, "Program: a sequence was expected");
    if (!list) throw Failed{};
    Py_ssize_t count = PySequence_Fast_GET_SIZE(list.get());
    for (position_ = 0; position_ < count; ++position_)
      function(PySequence_Fast_GET_ITEM(list.get(), position_));
  }

  PyObject* item(PyObject* tuple, Py_ssize_t index) {
    if (!PyTuple_Check(tuple) || index >= PyTuple_GET_SIZE(tuple))
      fail(PyExc_TypeError, "Program: %s[%zd] = %R is not a tuple with %zd items.", what_,
           position_, tuple, index + 1);
    return PyTuple_GET_ITEM(tuple, index);
  }

  PyObject* nested(PyObject* tuple, Py_ssize_t index) {
    PyObject* inner = item(tuple, index);
    if (!PyTuple_Check(inner))
      fail(PyExc_TypeError, "Program: %s[%zd]: item %zd must be a tuple, got %R.", what_,
           position_, index, inner);
    return inner;
  }

  int64_t integer(PyObject* tuple, Py_ssize_t index) {
    int64_t value = PyLong_AsLongLong(item(tuple, index));
    if (value == -1 && PyErr_Occurred()) throw Failed{};
    return value;
  }

  // An integer in [0, limit).
  uint32_t bounded(PyObject* tuple, Py_ssize_t index, int64_t limit, const char* meaning) {
    int64_t value = integer(tuple, index);
    if (value < 0 || value >= limit)
      fail(PyExc_ValueError, "Program: %s[%zd]: %s %lld is not in [0, %lld).", what_, position_,
           meaning, static_cast<long long>(value), static_cast<long long>(limit));
    return static_cast<uint32_t>(value);
  }

  uint32_t new_slot(PyObject* tuple, Py_ssize_t index) {
    uint32_t slot = bounded(tuple, index, plan_.table.slots, "slot");
    given_[slot] = true;
    return slot;
  }

  uint32_t slot(PyObject* tuple, Py_ssize_t index) {
    uint32_t slot = bounded(tuple, index, plan_.table.slots, "slot");
    if (!given_[slot])
      fail(PyExc_ValueError,
           "Program: %s[%zd] uses slot %u, which is no input, constant, output, arena slot or "
           "address.",
           what_, position_, slot);
    return slot;
  }

  uint32_t counter(PyObject* tuple, Py_ssize_t index) {
    uint32_t counter = bounded(tuple, index, 1 << 20, "counter");
    plan_.table.counters = std::max(plan_.table.counters, counter + 1);
    return counter;
  }

  uint32_t target(PyObject* tuple, Py_ssize_t index) {
    return bounded(tuple, index, step_count_ + 1, "jump target");
  }

  Aval* aval(PyObject* tuple, Py_ssize_t dtype, bool weak) {
    Aval* aval = intern_aval(item(tuple, dtype), item(tuple, dtype + 1), weak);
    if (!aval) throw Failed{};
    return aval;
  }

  bool truth(PyObject* tuple, Py_ssize_t index) {
    int value = PyObject_IsTrue(item(tuple, index));
    if (value < 0) throw Failed{};
    return value;
  }

  void add_input(PyObject* entry) {
    uint32_t slot = item(entry, 0) == Py_None ? no_slot : new_slot(entry, 0);
    plan_.inputs.push_back({slot, aval(entry, 1, truth(entry, 3))});
  }

  void add_constant(PyObject* entry) {
    PyObject* array = item(entry, 1);
    if (!is_array(array))
      fail(PyExc_TypeError, "Program: constants[%zd] must be an Array, got %s.", position_,
           Py_TYPE(array)->tp_name);
    uint32_t slot = item(entry, 0) == Py_None ? no_slot : new_slot(entry, 0);
    plan_.constants.push_back({slot, Py_NewRef(array)});
  }

  void add_arena_slot(PyObject* entry) {
    uint32_t slot = new_slot(entry, 0);
    int64_t offset = integer(entry, 1);
    if (offset < 0 || offset > plan_.arena_bytes)
      fail(PyExc_ValueError, "Program: arena_slots[%zd] lies outside of the arena.", position_);
    plan_.arena_slots.push_back({slot, offset});
  }

  // The type of a forwarded array, with the output's own weak type.
  static Aval* forwarded(const Aval* aval, bool weak) {
    Aval* result =
        intern_aval(aval->dtype, {aval->dims, static_cast<size_t>(aval->ndim)}, weak);
    if (!result) throw Failed{};
    return result;
  }

  void add_output(PyObject* entry) {
    const char* kind = name(entry);
    auto is = [&](const char* text) { return std::strcmp(kind, text) == 0; };
    Output output{Source::fresh, 0, no_slot, nullptr};
    if (is("new")) {
      output.slot = new_slot(entry, 1);
      output.aval = aval(entry, 2, truth(entry, 4));
    } else if (is("donate")) {
      output.source = Source::donate;
      output.index = bounded(entry, 1, size(plan_.inputs), "input");
      output.slot = new_slot(entry, 2);
      output.aval = aval(entry, 3, truth(entry, 5));
    } else if (is("input")) {
      output.source = Source::input;
      output.index = bounded(entry, 1, size(plan_.inputs), "input");
      output.aval = forwarded(plan_.inputs[output.index].aval, truth(entry, 2));
    } else if (is("constant")) {
      output.source = Source::constant;
      output.index = bounded(entry, 1, size(plan_.constants), "constant");
      output.aval =
          forwarded(as_array(plan_.constants[output.index].array)->aval, truth(entry, 2));
    } else {
      fail(PyExc_ValueError, "Program: outputs[%zd] has unknown kind '%s'.", position_, kind);
    }
    plan_.outputs.push_back(output);
    if (output.source == Source::donate &&
        output.aval->bytes != plan_.inputs[output.index].aval->bytes)
      fail(PyExc_ValueError,
           "Program: outputs[%zd] needs %lld bytes, the donated input %u has %lld.", position_,
           static_cast<long long>(output.aval->bytes), output.index,
           static_cast<long long>(plan_.inputs[output.index].aval->bytes));
  }

  template <class Type>
  static int64_t size(const std::vector<Type>& list) {
    return static_cast<int64_t>(list.size());
  }

  const char* name(PyObject* entry) {
    const char* text = PyUnicode_AsUTF8(item(entry, 0));
    if (!text) throw Failed{};
    return text;
  }

  // Address steps give memory to their slot; steps before them in the table may use it in a loop.
  void define_addresses(PyObject* steps) {
    what_ = "steps";
    for (position_ = 0; position_ < step_count_; ++position_) {
      PyObject* entry = PySequence_Fast_GET_ITEM(steps, position_);
      if (std::strcmp(name(entry), "address") == 0) new_slot(entry, 1);
    }
  }

  uint32_t slot_list(PyObject* tuple, Py_ssize_t index, uint32_t* count) {
    PyObject* slots = nested(tuple, index);
    auto begin = static_cast<uint32_t>(plan_.table.indices.size());
    *count = static_cast<uint32_t>(PyTuple_GET_SIZE(slots));
    for (uint32_t i = 0; i < *count; ++i) plan_.table.indices.push_back(slot(slots, i));
    plan_.table.most_arguments = std::max(plan_.table.most_arguments, *count);
    return begin;
  }

  void host_arrays(PyObject* tuple, Py_ssize_t index, std::vector<HostArray>& arrays) {
    PyObject* list = nested(tuple, index);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(list); ++i) {
      PyObject* entry = PyTuple_GET_ITEM(list, i);
      uint32_t where = slot(entry, 0);
      arrays.push_back({where, aval(entry, 1, false)});
    }
  }

  void add_step(PyObject* entry) {
    const char* kind = name(entry);
    auto is = [&](const char* text) { return std::strcmp(kind, text) == 0; };
    Step step{Operation::kernel};
    if (is("kernel")) {
      step.address = reinterpret_cast<Kernel>(PyLong_AsVoidPtr(item(entry, 1)));
      if (!step.address) {
        if (PyErr_Occurred()) throw Failed{};
        fail(PyExc_ValueError, "Program: steps[%zd] has a null kernel address.", position_);
      }
      step.a = slot_list(entry, 2, &step.b);
      step.x = integer(entry, 3);
      step.y = std::max<int64_t>(integer(entry, 4), 1);
      if (PyTuple_GET_SIZE(entry) > 5 && truth(entry, 5)) {
        const auto& steps = plan_.table.steps;
        if (steps.empty() || steps.back().operation != Operation::kernel || steps.back().c ||
            steps.back().x != step.x)
          fail(PyExc_ValueError, "Program: steps[%zd] follows no kernel of its extent.", position_);
        step.c = 1;
      }
    } else if (is("copy")) {
      step = {Operation::copy, slot(entry, 1), slot(entry, 2), 0, integer(entry, 3)};
      if (step.x < 0)
        fail(PyExc_ValueError, "Program: steps[%zd] copies a negative count.", position_);
    } else if (is("counter")) {
      step = {Operation::counter, 0, 0, counter(entry, 1), integer(entry, 2)};
    } else if (is("advance")) {
      step = {Operation::advance, 0, 0, counter(entry, 1), integer(entry, 2)};
    } else if (is("address")) {
      step = {Operation::address, slot(entry, 1), slot(entry, 2), counter(entry, 3),
              integer(entry, 4)};
    } else if (is("store_counter")) {
      step = {Operation::store_counter, slot(entry, 1), 0, counter(entry, 2), integer(entry, 3)};
      if (step.x != 4 && step.x != 8)
        fail(PyExc_ValueError, "Program: steps[%zd] stores a counter of %lld bytes.", position_,
             static_cast<long long>(step.x));
    } else if (is("swap")) {
      step = {Operation::swap, slot(entry, 1), slot(entry, 2)};
    } else if (is("jump")) {
      step = {Operation::jump, target(entry, 1)};
    } else if (is("jump_if_not")) {
      step = {Operation::jump_if_not, slot(entry, 1), target(entry, 2)};
    } else if (is("jump_lt")) {
      step = {Operation::jump_less, target(entry, 3), 0, counter(entry, 1), integer(entry, 2)};
    } else if (is("switch")) {
      step = {Operation::branch, slot(entry, 1)};
      PyObject* targets = nested(entry, 2);
      step.b = static_cast<uint32_t>(plan_.table.indices.size());
      step.x = PyTuple_GET_SIZE(targets);
      if (step.x == 0) fail(PyExc_ValueError, "Program: steps[%zd] has no targets.", position_);
      for (int64_t i = 0; i < step.x; ++i) plan_.table.indices.push_back(target(targets, i));
    } else if (is("host")) {
      step = {Operation::host, static_cast<uint32_t>(plan_.hosts.size())};
      uint32_t function = bounded(entry, 1, size(plan_.callables), "callable");
      plan_.hosts.push_back({plan_.callables[function], {}, {}});
      host_arrays(entry, 2, plan_.hosts.back().inputs);
      host_arrays(entry, 3, plan_.hosts.back().outputs);
    } else {
      fail(PyExc_ValueError, "Program: steps[%zd] has unknown kind '%s'.", position_, kind);
    }
    plan_.table.steps.push_back(step);
  }

  // Runs that touch much memory, loop or use threads let other Python threads run meanwhile.
  void decide_interpreter_lock() {
    int64_t bytes = plan_.arena_bytes;
    for (const Input& input : plan_.inputs) bytes += input.aval->bytes;
    for (const Output& output : plan_.outputs) bytes += output.aval->bytes;
    plan_.frees_interpreter = bytes >= 64 << 10;
    for (size_t i = 0; i < plan_.table.steps.size(); ++i) {
      const Step& step = plan_.table.steps[i];
      bool back = (step.operation == Operation::jump && step.a <= i) ||
                  (step.operation == Operation::jump_less && step.a <= i) ||
                  (step.operation == Operation::jump_if_not && step.b <= i);
      if (back) plan_.frees_interpreter = true;
    }
  }

  Plan& plan_;
  std::vector<bool> given_;  // slots that have memory
  const char* what_ = "";    // list being read, for messages
  Py_ssize_t position_ = 0;
  Py_ssize_t step_count_ = 0;
};

}  // namespace

std::unique_ptr<Plan> build_plan(PyObject* args, PyObject* names, PyObject** program_name) {
  auto plan = std::make_unique<Plan>();
  try {
    Builder(*plan).constructor(args, names, program_name);
  } catch (const Failed&) {
    return nullptr;
  }
  return plan;
}

}  // namespace fornax
