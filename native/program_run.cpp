#include "program.hpp"

#include <chrono>
#include <cstring>

#include "allocator.hpp"
#include "refusal.hpp"

namespace fornax {

bool profiling = false;
PyObject* on_event = nullptr;

namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t arena_kept_bytes = 64 << 10;  // larger arenas go back to the allocator
constexpr int64_t long_run_nanoseconds = 20'000;
constexpr int64_t clock_every = 16;  // runs between two looks at the clock

int64_t since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
}

// Holds the interpreter lock only while Python is needed.
class Interpreter {
 public:
  explicit Interpreter(bool free) : state_(free ? PyEval_SaveThread() : nullptr) {}
  ~Interpreter() {
    if (state_) PyEval_RestoreThread(state_);
  }
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // Runs `function` with the lock held.
  template <class Function>
  bool with(Function function) {
    if (!state_) return function();
    PyEval_RestoreThread(std::exchange(state_, nullptr));
    bool result = function();
    state_ = PyEval_SaveThread();
    return result;
  }

 private:
  PyThreadState* state_;
};

// A read-only ndarray with a copy of the slot's memory: the callee may keep it.
PyObject* host_argument(const HostArray& array, void* memory) {
  Py_INCREF(array.aval->dtype->descr);
  PyObject* copy = PyArray_NewFromDescr(&PyArray_Type, array.aval->dtype->descr, array.aval->ndim,
                                        array.aval->dims, nullptr, nullptr, 0, nullptr);
  if (!copy) return nullptr;
  auto* ndarray = reinterpret_cast<PyArrayObject*>(copy);
  std::memcpy(PyArray_DATA(ndarray), memory, static_cast<size_t>(array.aval->bytes));
  PyArray_CLEARFLAGS(ndarray, NPY_ARRAY_WRITEABLE);
  return copy;
}

bool store_host_result(PyObject* value, const HostArray& array, void* memory, PyObject* function) {
  Ref source = Ref::steal(is_array(value) ? numpy_view(as_array(value)) : Py_NewRef(value));
  if (!source) return false;
  Py_INCREF(array.aval->dtype->descr);
  Ref converted = Ref::steal(PyArray_FromAny(source.get(), array.aval->dtype->descr, 0, 0,
                                             NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST, nullptr));
  if (!converted) return false;
  auto* ndarray = reinterpret_cast<PyArrayObject*>(converted.get());
  if (PyArray_NDIM(ndarray) != array.aval->ndim ||
      !PyArray_CompareLists(PyArray_DIMS(ndarray), array.aval->dims, array.aval->ndim)) {
    Ref shape = Ref::steal(PyObject_GetAttrString(converted.get(), "shape"));
    if (shape)
      refuse(PyExc_ValueError, "the program has made room for what was declared",
             "return that shape, or declare the other one in result_shape_dtypes",
             "The host callback %R returned an array of shape %R where shape %R was declared.",
             function, shape.get(), array.aval->shape);
    return false;
  }
  std::memcpy(memory, PyArray_DATA(ndarray), static_cast<size_t>(array.aval->bytes));
  return true;
}

bool call_host(const HostCall& call, void** slots) {
  std::vector<Ref> arguments;
  std::vector<PyObject*> borrowed;
  for (const HostArray& array : call.inputs) {
    arguments.push_back(Ref::steal(host_argument(array, slots[array.slot])));
    if (!arguments.back()) return false;
    borrowed.push_back(arguments.back().get());
  }
  Ref returned =
      Ref::steal(PyObject_Vectorcall(call.function, borrowed.data(), borrowed.size(), nullptr));
  if (!returned) return false;
  if (call.outputs.empty()) return true;
  Ref list = as_sequence(returned.get(), "[x], a list of what was declared",
                         "A host callback must return a sequence of arrays");
  if (!list) return false;
  if (PySequence_Fast_GET_SIZE(list.get()) != static_cast<Py_ssize_t>(call.outputs.size())) {
    refuse(PyExc_ValueError, "the program has made room for what was declared",
           "return as many, or declare them in result_shape_dtypes",
           "The host callback %R returned %zd arrays where %zu were declared.", call.function,
           PySequence_Fast_GET_SIZE(list.get()), call.outputs.size());
    return false;
  }
  for (size_t i = 0; i < call.outputs.size(); ++i)
    if (!store_host_result(PySequence_Fast_GET_ITEM(list.get(), static_cast<Py_ssize_t>(i)),
                           call.outputs[i], slots[call.outputs[i].slot], call.function))
      return false;
  return true;
}

class PythonHooks final : public Hooks {
 public:
  PythonHooks(const Plan& plan, Interpreter& interpreter)
      : plan_(plan), interpreter_(interpreter) {}

  bool host(uint32_t number, void** slots) override {
    return interpreter_.with([&] { return call_host(plan_.hosts[number], slots); });
  }
  // Lets Ctrl-C end a long loop.
  bool keep_going() override {
    return interpreter_.with([] { return PyErr_CheckSignals() == 0; });
  }

 private:
  const Plan& plan_;
  Interpreter& interpreter_;
};

// --- one run ----------------------------------------------------------------------------------

std::unique_ptr<Frame> take_frame(Program* program) {
  if (!program->frames->empty()) {
    auto frame = std::move(program->frames->back());
    program->frames->pop_back();
    return frame;
  }
  auto frame = std::make_unique<Frame>();
  const Table& table = program->plan->table;
  frame->slots.resize(table.slots);
  frame->counters.resize(table.counters);
  frame->arguments.resize(table.most_arguments);
  return frame;
}

void return_frame(Program* program, std::unique_ptr<Frame> frame) {
  for (PyObject* object : frame->kept) Py_DECREF(object);
  frame->kept.clear();
  const Plan& plan = *program->plan;
  if (frame->arena && plan.arena_bytes > arena_kept_bytes) {
    deallocate(frame->arena, static_cast<size_t>(plan.arena_bytes));
    frame->arena = nullptr;
  }
  program->frames->push_back(std::move(frame));
}

bool check_operands(Program* program, const Operand* operands, size_t count) {
  const auto& inputs = program->plan->inputs;
  if (count != inputs.size()) {
    bug(PyExc_TypeError, "Program %U takes %zu arrays, got %zu.", program->name,
                 inputs.size(), count);
    return false;
  }
  for (size_t i = 0; i < count; ++i) {
    const Aval *given = operands[i].aval, *wanted = inputs[i].aval;
    if (given == wanted || (given->dtype == wanted->dtype && given->ndim == wanted->ndim &&
                            std::equal(given->dims, given->dims + given->ndim, wanted->dims)))
      continue;
    Ref got = Ref::steal(describe(given)), want = Ref::steal(describe(wanted));
    if (got && want)
      bug(PyExc_TypeError, "Program %U: input %zu must be %U, got %U.", program->name, i,
                   want.get(), got.get());
    return false;
  }
  return true;
}

bool refuse_donation(const Program* program, const Array* array, const char* what) {
  Ref type = Ref::steal(describe(array->aval));
  Ref kind = error_class("JaxRuntimeError", PyExc_RuntimeError);
  if (type)
    refuse(kind.get(), "the memory of a donated array becomes that of a result",
           "donate a copy: f(x.copy(), x), or do not donate that argument",
           "Attempt to %s: an array of type %U given to program %U.", what, type.get(),
           program->name);
  return false;
}

// Fails if a donated array occurs twice among the operands.
bool check_donations(const Program* program, const Operand* operands, size_t count) {
  static uint64_t run = 0;
  bool any = false;
  for (size_t i = 0; i < count; ++i) {
    if (!operands[i].donated || !operands[i].object) continue;
    if (!any) ++run;
    any = true;
    Array* array = as_array(operands[i].object);
    if (array->mark == run)
      return refuse_donation(program, array, "donate the same buffer twice in one call");
    array->mark = run;
  }
  if (!any) return true;
  for (size_t i = 0; i < count; ++i)
    if (operands[i].object && !operands[i].donated && as_array(operands[i].object)->mark == run)
      return refuse_donation(program, as_array(operands[i].object),
                             "use a buffer that was previously donated in the same call");
  return true;
}

// A forwarded operand: itself, another array over its memory, or a copy of memory not ours.
PyObject* forward(const Operand& operand, Aval* aval) {
  if (operand.object && !operand.donated && operand.aval == aval) return Py_NewRef(operand.object);
  if (operand.object && as_array(operand.object)->buffer)
    return new_array(
        reinterpret_cast<Buffer*>(Py_NewRef(as_object(as_array(operand.object)->buffer))),
        retain(aval));
  PyObject* copy = empty_array(retain(aval));
  if (copy)
    std::memcpy(as_array(copy)->buffer->data, operand.data, static_cast<size_t>(aval->bytes));
  return copy;
}

PyObject* make_output(const Plan& plan, const Output& output, const Operand* operands) {
  switch (output.source) {
    case Source::fresh:
      return empty_array(retain(output.aval));
    case Source::donate: {
      const Operand& operand = operands[output.index];
      Array* array = operand.donated && operand.object ? as_array(operand.object) : nullptr;
      if (!array || !array->buffer || !owns_buffer_alone(array))
        return empty_array(retain(output.aval));
      // From here on the buffer has a second owner, so no other output can take it over.
      return new_array(reinterpret_cast<Buffer*>(Py_NewRef(as_object(array->buffer))),
                       retain(output.aval));
    }
    case Source::input:
      return forward(operands[output.index], output.aval);
    case Source::constant: {
      PyObject* array = plan.constants[output.index].array;
      return forward({nullptr, as_array(array)->aval, array, false}, output.aval);
    }
  }
  return nullptr;
}

// Fills the slots and creates the outputs. Everything that can fail does so before any input is
// given up.
bool prepare(Program* program, Frame& frame, Operand* operands, size_t count, PyObject** outputs) {
  const Plan& plan = *program->plan;
  void** slots = frame.slots.data();
  if (!check_donations(program, operands, count)) return false;
  for (const Constant& constant : plan.constants) {
    Buffer* buffer = live_buffer(as_array(constant.array));
    if (!buffer) return false;
    if (constant.slot != no_slot) slots[constant.slot] = buffer->data;
  }
  for (size_t i = 0; i < count; ++i)
    if (plan.inputs[i].slot != no_slot) slots[plan.inputs[i].slot] = operands[i].data;
  if (!frame.arena && plan.arena_bytes) {
    frame.arena = allocate(static_cast<size_t>(plan.arena_bytes));
    if (!frame.arena) {
      raise_out_of_memory(static_cast<size_t>(plan.arena_bytes), program->name);
      return false;
    }
  }
  for (auto [slot, offset] : plan.arena_slots)
    slots[slot] = static_cast<char*>(frame.arena) + offset;
  for (size_t i = 0; i < plan.outputs.size(); ++i) {
    const Output& output = plan.outputs[i];
    outputs[i] = make_output(plan, output, operands);
    if (!outputs[i]) return false;
    if (output.slot != no_slot) slots[output.slot] = as_array(outputs[i])->buffer->data;
  }
  return true;
}

// Donated inputs are gone for everyone else from now on; their memory lives until the run ends.
void give_up_donated(Frame& frame, const Operand* operands, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (!operands[i].donated || !operands[i].object) continue;
    Array* array = as_array(operands[i].object);
    if (!array->buffer) continue;
    frame.kept.push_back(Py_NewRef(as_object(array->buffer)));
    delete_array(array);
  }
}

bool run_steps(Program* program, Frame& frame, const Operand* operands, size_t count) {
  const Plan& plan = *program->plan;
  bool frees = plan.frees_interpreter || program->recent > long_run_nanoseconds;
  // While others may run, they may also delete the arrays this run reads.
  if (frees || !plan.hosts.empty())
    for (size_t i = 0; i < count; ++i)
      if (operands[i].object && as_array(operands[i].object)->buffer)
        frame.kept.push_back(Py_NewRef(as_object(as_array(operands[i].object)->buffer)));
  StepTime* times = nullptr;
  if (profiling) {
    if (!program->times) program->times = new std::vector<StepTime>(plan.table.steps.size());
    times = program->times->data();
  }
  bool clocked = profiling || on_event || program->calls % clock_every == 0;
  Clock::time_point begin;
  if (clocked) begin = Clock::now();
  bool succeeded = false;
  {
    Interpreter interpreter(frees);
    PythonHooks hooks(plan, interpreter);
    succeeded = execute(plan.table, frame.slots.data(), frame.counters.data(),
                        frame.arguments.data(), hooks, times);
  }
  ++program->calls;
  if (clocked) program->recent = since(begin);
  if (profiling) program->nanoseconds += program->recent;
  return succeeded;
}

}  // namespace

// Whoever listens must not disturb the run: its errors are reported, not raised.
void announce(const char* kind, Program* program, double seconds) {
  Ref listener = Ref::borrow(on_event);
  Ref result =
      Ref::steal(PyObject_CallFunction(listener.get(), "sOd", kind, program->name, seconds));
  if (!result) PyErr_WriteUnraisable(listener.get());
}

bool run_program(Program* program, Operand* operands, size_t count, PyObject** outputs) {
  if (!program->frames) {
    bug(PyExc_RuntimeError, "The program was already collected.");
    return false;
  }
  if (!check_operands(program, operands, count)) return false;
  const size_t output_count = program->plan->outputs.size();
  std::fill(outputs, outputs + output_count, nullptr);
  Ref alive = Ref::borrow(as_object(program));
  auto frame = take_frame(program);
  bool succeeded = prepare(program, *frame, operands, count, outputs);
  if (succeeded) {
    give_up_donated(*frame, operands, count);
    succeeded = run_steps(program, *frame, operands, count);
  }
  return_frame(program, std::move(frame));
  if (succeeded && on_event)
    announce("Executed", program, static_cast<double>(program->recent) * 1e-9);
  if (!succeeded)
    for (size_t i = 0; i < output_count; ++i) Py_CLEAR(outputs[i]);
  return succeeded;
}

}  // namespace fornax
