// Index arithmetic: bounds of integer expressions, and int64 sums in their canonical form.
#include <algorithm>
#include <numeric>
#include <optional>

#include "expression.hpp"
#include "refusal.hpp"

namespace fornax {

namespace {

using Wide = __int128;

struct Bounds {
  Wide low, high;
};

Wide widened(const Expr* node, uint64_t bound) {
  if (node->integer->is_signed) return static_cast<int64_t>(bound);
  return bound;
}

Bounds bounds(const Expr* node) { return {widened(node, node->low), widened(node, node->high)}; }

Bounds limits(const Integer* integer) {
  if (integer->name == names.bool_) return {0, 1};
  if (!integer->is_signed) return {0, (Wide{1} << integer->width) - 1};
  return {-(Wide{1} << (integer->width - 1)), (Wide{1} << (integer->width - 1)) - 1};
}

PyObject* wide_object(Wide value) {
  if (value >= INT64_MIN && value <= INT64_MAX)
    return PyLong_FromLongLong(static_cast<int64_t>(value));
  return _PyLong_FromByteArray(reinterpret_cast<const unsigned char*>(&value), sizeof value, 1, 1);
}

Wide floor_div(Wide a, Wide b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0))); }

bool is_comparison(PyObject* name) {
  return name == names.eq || name == names.ne || name == names.lt || name == names.le ||
         name == names.gt || name == names.ge || name == names.is_finite;
}

// Bounds of a value that is chosen where a condition holds, or where it does not.
Bounds chosen(const Expr* condition, const Expr* value, bool holds) {
  Bounds all = bounds(value);
  Py_ssize_t operands = condition->operands();
  if (condition->kind != names.op || condition->operand(0) != value) return all;
  const Expr* other = condition->operand(operands - 1);
  if (!other->integer) return all;
  PyObject* name = condition->data;
  bool above = name == names.ge || name == names.gt, below = name == names.lt || name == names.le;
  auto [low, high] = all;
  if (holds ? above : below)
    low = std::max(low, bounds(other).low + (name == names.gt || name == names.le));
  else if (above || below)
    high = std::min(high, bounds(other).high - (name == names.lt || name == names.ge));
  return low <= high ? Bounds{low, high} : all;
}

std::optional<Bounds> around(std::initializer_list<Wide> corners) {
  return Bounds{std::min(corners), std::max(corners)};
}

// Bounds of an operation before it wraps, or nothing when nothing is known.
std::optional<Bounds> of_operation(const Expr* node) {
  PyObject* name = node->data;
  const Expr* x = node->operand(0);
  if (name == names.select || name == names.rarely) {
    auto [a, b] = chosen(x, node->operand(1), true);
    auto [c, d] = chosen(x, node->operand(2), false);
    return Bounds{std::min(a, c), std::max(b, d)};
  }
  if (!x->integer) return {};  // a float operand (cast, bitcast)
  auto [a, b] = bounds(x);
  if (name == names.cast) return Bounds{a, b};
  if (name == names.neg) return Bounds{-b, -a};
  if (name == names.abs)
    return Bounds{a <= 0 && b >= 0 ? 0 : std::min(a < 0 ? -a : a, b < 0 ? -b : b),
                  std::max(a < 0 ? -a : a, b < 0 ? -b : b)};
  if (name == names.popcount || name == names.clz) return Bounds{0, node->integer->width};
  if (node->operands() != 2 || !node->operand(1)->integer) return {};
  auto [c, d] = bounds(node->operand(1));
  if (name == names.add) return Bounds{a + c, b + d};
  if (name == names.sub) return Bounds{a - d, b - c};
  if (name == names.mul) {
    Wide ac, ad, bc, bd;
    if (__builtin_mul_overflow(a, c, &ac) || __builtin_mul_overflow(a, d, &ad) ||
        __builtin_mul_overflow(b, c, &bc) || __builtin_mul_overflow(b, d, &bd))
      return {};
    return around({ac, ad, bc, bd});
  }
  if (name == names.min) return Bounds{std::min(a, c), std::min(b, d)};
  if (name == names.max) return Bounds{std::max(a, c), std::max(b, d)};
  if (name == names.idiv && c > 0)
    return around({floor_div(a, c), floor_div(a, d), floor_div(b, c), floor_div(b, d)});
  if (name == names.imod && c > 0) return a >= 0 && b < c ? Bounds{a, b} : Bounds{0, d - 1};
  if (name == names.rem && c > 0)
    return Bounds{a < 0 ? std::max(a, 1 - d) : 0, b > 0 ? std::min(b, d - 1) : 0};
  if (name == names.div && c > 0 && a >= 0) return Bounds{a / d, b / c};
  if ((name == names.shr_logical || name == names.shr_arithmetic) && a >= 0 && c >= 0)
    return Bounds{d < 64 ? a >> d : 0, c < 64 ? b >> c : 0};
  if (name == names.and_ && node->integer->name != names.bool_ && (a >= 0 || c >= 0))
    return Bounds{0, std::min(a >= 0 ? b : d, c >= 0 ? d : b)};
  return {};
}

// The largest value of a loop variable (0 for an empty loop); -1 with an error set.
Wide last_of(PyObject* axis) {
  Ref extent = Ref::steal(PyObject_GetAttr(axis, names.extent));
  if (!extent) return -1;
  Wide count = 0;
  if (is_expr(extent.get()) && as_expr(extent.get())->integer) {
    count = bounds(as_expr(extent.get())).high;
  } else {
    count = PyLong_AsLongLong(extent.get());
    if (count == -1 && PyErr_Occurred()) return -1;
  }
  return count > 1 ? count - 1 : 0;
}

// --- linear forms ---
int64_t times(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

int64_t plus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

// total += scale * other
void add_form(Form& total, const Form& other, int64_t scale) {
  total.constant = plus(total.constant, times(scale, other.constant));
  std::vector<std::pair<Expr*, int64_t>> merged;
  merged.reserve(total.terms.size() + other.terms.size());
  auto a = total.terms.begin(), a_end = total.terms.end();
  auto b = other.terms.begin(), b_end = other.terms.end();
  while (a != a_end || b != b_end) {
    if (b == b_end || (a != a_end && a->first->number < b->first->number)) {
      merged.push_back(*a++);
      continue;
    }
    int64_t coefficient = times(scale, b->second);
    if (a != a_end && a->first == b->first) coefficient = plus(coefficient, a++->second);
    if (coefficient) merged.emplace_back(b->first, coefficient);
    ++b;
  }
  total.terms.swap(merged);
}

const Form* form_of(Expr* node);

// total += scale * x
void add(Form& total, Expr* x, int64_t scale) {
  if (const Form* form = form_of(x)) {
    add_form(total, *form, scale);
  } else if (is_const(x)) {
    total.constant = plus(total.constant, times(scale, value_of(x)));
  } else {
    add_form(total, {{{x, 1}}, 0}, scale);
  }
}

Form combined(Expr* x, int64_t scale = 1) {
  Form total;
  add(total, x, scale);
  return total;
}

// The form of an int64 operation that is a sum or a multiple, else null.
const Form* form_of(Expr* node) {
  if (node->form) return node->form;
  if (node->kind != names.op || node->dtype != names.int64) return nullptr;
  Form form;
  if (node->data == names.add || node->data == names.sub) {
    add(form, node->operand(0), 1);
    add(form, node->operand(1), node->data == names.add ? 1 : -1);
  } else if (node->data == names.neg) {
    add(form, node->operand(0), -1);
  } else if (node->data == names.mul && is_const(node->operand(1))) {
    add(form, node->operand(0), value_of(node->operand(1)));
  } else {
    return nullptr;
  }
  return node->form = new Form(std::move(form));
}

// The canonical expression of a form: parts in order of creation, constant last.
Expr* build(Nodes* nodes, const Form& form) {
  if (form.terms.empty()) return index_of(nodes, form.constant);
  if (form.terms.size() == 1 && !form.constant && form.terms[0].second == 1)
    return form.terms[0].first;
  Expr* total = nullptr;
  for (auto [part, coefficient] : form.terms) {
    bool negate = coefficient < 0 && coefficient != INT64_MIN && total;
    int64_t size = negate ? -coefficient : coefficient;
    Expr* scaled =
        size == 1 ? part : operation(nodes, names.mul, part, index_of(nodes, size));
    total = total ? operation(nodes, negate ? names.sub : names.add, total, scaled) : scaled;
    if (!total) return nullptr;
  }
  if (form.constant)
    total = operation(nodes, names.add, total, index_of(nodes, form.constant));
  if (total && total->kind == names.op && !total->form &&
      (total->data == names.add || total->data == names.sub || total->data == names.mul))
    total->form = new Form(form);
  return total;
}

// Floor division and remainder by a positive number.
int64_t floor_div(int64_t a, int64_t b) { return static_cast<int64_t>(floor_div(Wide{a}, Wide{b})); }
int64_t floor_mod(int64_t a, int64_t b) { return a - floor_div(a, b) * b; }

// Bounds of a form before it wraps; nothing where they do not fit into 128 bits.
std::optional<Bounds> span(const Form& form) {
  Wide low = form.constant, high = form.constant;
  for (auto [part, coefficient] : form.terms) {
    auto [a, b] = bounds(part);
    Wide first, second;
    if (__builtin_mul_overflow(Wide{coefficient}, a, &first) ||
        __builtin_mul_overflow(Wide{coefficient}, b, &second) ||
        __builtin_add_overflow(low, std::min(first, second), &low) ||
        __builtin_add_overflow(high, std::max(first, second), &high))
      return {};
  }
  return Bounds{low, high};
}

// The quotient that all values of a form have, if that is one.
std::optional<int64_t> one_quotient(const Form& form, int64_t size) {
  auto found = span(form);
  if (!found) return {};
  Wide least = floor_div(found->low, Wide{size});
  if (least != floor_div(found->high, Wide{size})) return {};
  return static_cast<int64_t>(least);
}

Expr* sum_of(Nodes* nodes, Form form);
Expr* quotient(Nodes* nodes, Expr* x, int64_t size);
Expr* modulo(Nodes* nodes, Expr* x, int64_t size);

Expr* sum_with(Nodes* nodes, Form form, Expr* x) {
  if (!x) return nullptr;
  add(form, x, 1);
  return sum_of(nodes, std::move(form));
}

// Divides a form and a divisor by what the coefficients and the divisor have in common.
Expr* reduced(Nodes* nodes, Form form, int64_t& size) {
  int64_t scale = size;
  for (auto [part, coefficient] : form.terms)
    scale = static_cast<int64_t>(std::gcd(static_cast<uint64_t>(scale),
        coefficient < 0 ? -static_cast<uint64_t>(coefficient) : static_cast<uint64_t>(coefficient)));
  for (auto& [part, coefficient] : form.terms) coefficient = floor_div(coefficient, scale);
  form.constant = floor_div(form.constant, scale);
  size /= scale;
  return build(nodes, form);
}

bool divides_by_constant(const Expr* node, PyObject* name) {
  return is_op(node, name) && is_const(node->operand(1));
}

// The largest divisor of `size` below it that coefficients have, but not all: terms with it come to
// `high`, divided by it, the others are left in `low`. 1 where there is none.
int64_t split(const Form& form, int64_t size, Form& high, Form& low) {
  int64_t scale = 1;
  for (auto [part, coefficient] : form.terms) {
    uint64_t distance = coefficient < 0 ? -static_cast<uint64_t>(coefficient)
                                        : static_cast<uint64_t>(coefficient);
    scale = std::max(scale, static_cast<int64_t>(std::gcd(static_cast<uint64_t>(size), distance)));
  }
  for (auto [part, coefficient] : form.terms)
    if (coefficient % scale == 0) high.terms.emplace_back(part, coefficient / scale);
    else low.terms.emplace_back(part, coefficient);
  high.constant = floor_div(form.constant, scale);
  low.constant = floor_mod(form.constant, scale);
  return low.terms.empty() ? 1 : scale;
}

// Floor division of an index by a positive constant, simplified.
Expr* quotient(Nodes* nodes, Expr* x, int64_t size) {
  if (size == 1) return x;
  Form all = combined(x), whole, rest;
  for (auto [part, coefficient] : all.terms)
    if (coefficient % size == 0) whole.terms.emplace_back(part, coefficient / size);
    else rest.terms.emplace_back(part, coefficient);
  whole.constant = floor_div(all.constant, size);
  rest.constant = floor_mod(all.constant, size);
  if (auto one = one_quotient(rest, size)) {
    whole.constant = plus(whole.constant, *one);
    return build(nodes, whole);
  }
  Form high, low;  // (g A + B) idiv g k is (A + B idiv g) idiv k: equal numbers get equal forms
  if (int64_t scale = split(rest, size, high, low); scale > 1) {
    Expr* carried = build(nodes, low);
    if (carried) carried = quotient(nodes, carried, scale);
    if (carried) carried = sum_with(nodes, std::move(high), carried);
    return carried ? sum_with(nodes, whole, quotient(nodes, carried, size / scale)) : nullptr;
  }
  Expr* inner = reduced(nodes, rest, size);
  if (!inner) return nullptr;
  if (divides_by_constant(inner, names.idiv)) {
    int64_t divisor = value_of(inner->operand(1)), both;
    if (!__builtin_mul_overflow(divisor, size, &both))
      return sum_with(nodes, whole, quotient(nodes, inner->operand(0), both));
  }
  if (divides_by_constant(inner, names.imod) && value_of(inner->operand(1)) % size == 0) {
    Expr* divided = quotient(nodes, inner->operand(0), size);
    if (!divided) return nullptr;
    return sum_with(nodes, whole, modulo(nodes, divided, value_of(inner->operand(1)) / size));
  }
  if (size > 1) inner = operation(nodes, names.idiv, inner, index_of(nodes, size));
  return sum_with(nodes, whole, inner);
}

// The remainder in [0, size) of an index by a positive constant, simplified.
Expr* modulo(Nodes* nodes, Expr* x, int64_t size) {
  if (size == 1) return index_of(nodes, 0);
  Form all = combined(x), rest;
  for (auto term : all.terms)
    if (term.second % size) rest.terms.push_back(term);
  rest.constant = floor_mod(all.constant, size);
  if (auto one = one_quotient(rest, size)) {
    rest.constant = plus(rest.constant, -times(size, *one));
    return build(nodes, rest);
  }
  Form high, low;
  if (int64_t scale = split(rest, size, high, low); scale > 1) {
    if (auto one = one_quotient(low, scale)) {  // g A + B is A imod k, times g, and B
      high.constant = plus(high.constant, *one);
      low.constant = plus(low.constant, -times(scale, *one));
      Expr* carried = build(nodes, high);
      if (carried) carried = modulo(nodes, carried, size / scale);
      if (!carried) return nullptr;
      add(low, carried, scale);
      return sum_of(nodes, std::move(low));
    }
  }
  int64_t small = size;
  Expr* inner = reduced(nodes, rest, small);
  if (!inner) return nullptr;
  int64_t scale = size / small;
  Form result;
  result.constant = floor_mod(rest.constant, scale);
  if (divides_by_constant(inner, names.imod) && value_of(inner->operand(1)) % small == 0) {
    inner = modulo(nodes, inner->operand(0), small);
  } else {
    inner = small > 1 ? operation(nodes, names.imod, inner, index_of(nodes, small))
                      : index_of(nodes, 0);
  }
  if (!inner) return nullptr;
  add(result, inner, scale);
  return sum_of(nodes, std::move(result));
}

// Whether `terms` has all terms of `part`, times `factor`; then these are taken out.
bool take_out(Form& form, const Form& part, int64_t factor) {
  Form without = form;
  add_form(without, part, times(factor, -1));
  if (part.terms.empty() || without.terms.size() + part.terms.size() != form.terms.size())
    return false;
  form = std::move(without);
  return true;
}

// Uses n * (x idiv n) + x imod n = x, which turns the index of a reshape back into one. False with
// an error set.
bool rejoin(Nodes* nodes, Form& form) {
  for (size_t k = 0; k < form.terms.size(); ++k) {
    auto [part, coefficient] = form.terms[k];
    if (!divides_by_constant(part, names.imod)) continue;
    Expr* x = part->operand(0);
    int64_t size = value_of(part->operand(1));
    // the quotient may itself be a sum or have become 0: compare in linear form
    Expr* whole = quotient(nodes, x, size);
    if (!whole) return false;
    Form rest = form;
    if (!take_out(rest, combined(whole), times(coefficient, size))) continue;
    add_form(rest, {{{part, 1}}, 0}, times(coefficient, -1));
    add(rest, x, coefficient);
    form = std::move(rest);
    k = static_cast<size_t>(-1);
  }
  return true;
}

// A form as an expression, with divisions put together again.
Expr* sum_of(Nodes* nodes, Form form) {
  if (form.terms.size() > 1 && !rejoin(nodes, form)) return nullptr;
  return build(nodes, form);
}

// --- for Python ---
PyObject* result_of(Expr* node) { return node ? Py_NewRef(as_object(node)) : nullptr; }

bool read_int64(PyObject* object, int64_t* value) {
  int overflow = 0;
  long long found = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (found == -1 && PyErr_Occurred()) return false;
  *value = overflow ? static_cast<int64_t>(PyLong_AsUnsignedLongLongMask(object)) : found;
  return true;
}

PyObject* py_sum_of(PyObject*, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
  Nodes* nodes = count ? builder_of(arguments[0]) : nullptr;
  if (!nodes) return bug(PyExc_TypeError, "sum_of takes a builder and (expression, factor) pairs");
  Form total;
  if (keywords && PyTuple_GET_SIZE(keywords)) {
    PyObject* keyword = PyTuple_GET_ITEM(keywords, 0);
    if (PyTuple_GET_SIZE(keywords) > 1 ||
        PyUnicode_CompareWithASCIIString(keyword, "constant") != 0)
      return bug(PyExc_TypeError, "sum_of has the keyword constant, got %R", keywords);
    if (!read_int64(arguments[count], &total.constant)) return nullptr;
  }
  for (Py_ssize_t k = 1; k < count; ++k) {
    PyObject* pair = arguments[k];
    int64_t scale = 0;
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 || !is_expr(PyTuple_GET_ITEM(pair, 0)))
      return bug(PyExc_TypeError, "%R is no pair of an expression and a factor", pair);
    if (!read_int64(PyTuple_GET_ITEM(pair, 1), &scale)) return nullptr;
    add(total, as_expr(PyTuple_GET_ITEM(pair, 0)), scale);
  }
  return result_of(sum_of(nodes, std::move(total)));
}

// The arguments (builder, expression, positive int) of a division.
bool read_division(PyObject* const* arguments, Py_ssize_t count, Nodes** nodes, int64_t* size) {
  *nodes = count == 3 && is_expr(arguments[1]) ? builder_of(arguments[0]) : nullptr;
  if (!*nodes) {
    if (!PyErr_Occurred())
      bug(PyExc_TypeError, "a division takes a builder, an expression and a divisor");
    return false;
  }
  if (!read_int64(arguments[2], size)) return false;
  if (*size < 1) bug(PyExc_ValueError, "the divisor %R is not positive", arguments[2]);
  return *size >= 1;
}

PyObject* py_quotient(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  Nodes* nodes = nullptr;
  int64_t size = 0;
  if (!read_division(arguments, count, &nodes, &size)) return nullptr;
  return result_of(quotient(nodes, as_expr(arguments[1]), size));
}

PyObject* py_modulo(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  Nodes* nodes = nullptr;
  int64_t size = 0;
  if (!read_division(arguments, count, &nodes, &size)) return nullptr;
  return result_of(modulo(nodes, as_expr(arguments[1]), size));
}

Expr* checked(PyObject* object) {
  if (is_expr(object)) return as_expr(object);
  bug(PyExc_TypeError, "%R is no expression", object);
  return nullptr;
}

PyObject* linear(PyObject*, PyObject* object) {
  Expr* x = checked(object);
  if (!x) return nullptr;
  Form form = combined(x);
  Ref terms = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(form.terms.size())));
  for (size_t k = 0; terms && k < form.terms.size(); ++k) {
    PyObject* term = Py_BuildValue("OL", as_object(form.terms[k].first),
                                   static_cast<long long>(form.terms[k].second));
    if (!term) return nullptr;
    PyTuple_SET_ITEM(terms.get(), static_cast<Py_ssize_t>(k), term);
  }
  return terms ? Py_BuildValue("OL", terms.get(), static_cast<long long>(form.constant)) : nullptr;
}

PyObject* is_sum(PyObject*, PyObject* object) {
  Expr* x = checked(object);
  return x ? PyBool_FromLong(form_of(x) != nullptr) : nullptr;
}

PyObject* pair_of(const std::optional<Bounds>& bounds) {
  if (!bounds) Py_RETURN_NONE;
  Ref low = Ref::steal(wide_object(bounds->low)), high = Ref::steal(wide_object(bounds->high));
  return low && high ? PyTuple_Pack(2, low.get(), high.get()) : nullptr;
}

PyObject* difference(PyObject*, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2 || !is_expr(arguments[0]) || !is_expr(arguments[1]))
    return bug(PyExc_TypeError, "difference(x, y) takes two expressions");
  Form form = combined(as_expr(arguments[0]));
  add(form, as_expr(arguments[1]), -1);
  return pair_of(span(form));
}

PyObject* operation_bounds(PyObject*, PyObject* object) {
  Expr* x = checked(object);
  if (!x) return nullptr;
  if (x->kind != names.op || !x->integer) Py_RETURN_NONE;
  return pair_of(of_operation(x));
}

PyObject* last_value(PyObject*, PyObject* axis) {
  Wide found = last_of(axis);
  return found < 0 ? nullptr : wide_object(found);
}

std::optional<Bounds> known_bounds(Expr* node) {
  if (is_const(node)) {
    uint64_t bits = static_cast<uint64_t>(value_of(node));
    return Bounds{widened(node, bits), widened(node, bits)};
  }
  if (node->kind == names.axis) return Bounds{0, last_of(node->data)};
  if (node->kind == names.param) return Bounds{0, limits(node->integer).high};
  if (node->kind == names.carry && node->operands())
    return Bounds{bounds(node->operand(0)).low, bounds(node->operand(1)).high};
  if (node->kind == names.reduce) {
    // the results that are one of the values
    PyObject* combiner = PyTuple_GET_ITEM(node->data, 0);
    long component = PyLong_AsLong(PyTuple_GET_ITEM(node->data, 2));
    bool extreme = PyUnicode_CompareWithASCIIString(combiner, "min") == 0 ||
                   PyUnicode_CompareWithASCIIString(combiner, "max") == 0;
    bool place = PyUnicode_CompareWithASCIIString(combiner, "argmin") == 0 ||
                 PyUnicode_CompareWithASCIIString(combiner, "argmax") == 0;
    if ((extreme && component == 0) || (place && component == 1))
      return bounds(node->operand(component));
  }
  if (node->kind == names.op && !is_comparison(node->data)) return of_operation(node);
  return {};
}

}  // namespace

bool set_bounds(Expr* node) {
  Bounds full = limits(node->integer);
  auto found = known_bounds(node);
  if (PyErr_Occurred()) return false;
  if (!found || found->low < full.low || found->high > full.high) found = full;
  node->low = static_cast<uint64_t>(found->low);
  node->high = static_cast<uint64_t>(found->high);
  return true;
}

PyObject* bound_object(const Expr* node, uint64_t bound) {
  if (!node->integer) {
    return bug(PyExc_TypeError, "an expression of dtype %U has no bounds", node->dtype);
  }
  return wide_object(widened(node, bound));
}

PyMethodDef affine_functions[] = {
    {"sum_of", method(py_sum_of), METH_FASTCALL | METH_KEYWORDS,
     "sum_of(builder, *scaled, constant=0)\n--\n\n"
     "sum(coefficient * x) + constant of (x, coefficient) pairs, in canonical form and with\n"
     "divisions put together again."},
    {"quotient", method(py_quotient), METH_FASTCALL,
     "quotient(builder, x, size, /)\n--\n\n"
     "Floor division of an index by a positive constant, simplified."},
    {"modulo", method(py_modulo), METH_FASTCALL,
     "modulo(builder, x, size, /)\n--\n\n"
     "The remainder in [0, size) of an index by a positive constant, simplified."},
    {"linear", linear, METH_O,
     "linear(x, /)\n--\n\n"
     "An int64 expression as ((part, coefficient), ...), constant; parts in order of creation."},
    {"is_sum", is_sum, METH_O,
     "is_sum(x, /)\n--\n\nWhether x is an int64 sum or a multiple of something."},
    {"difference", method(difference), METH_FASTCALL,
     "difference(x, y, /)\n--\n\n"
     "Bounds of x - y of two int64 that do not overflow; what they have in common cancels."},
    {"operation_bounds", operation_bounds, METH_O,
     "operation_bounds(x, /)\n--\n\n"
     "Bounds of an integer operation's result before it wraps, or None when nothing is known."},
    {"last_value", last_value, METH_O,
     "last_value(axis, /)\n--\n\nThe largest value of a loop variable (0 for an empty loop)."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace fornax
