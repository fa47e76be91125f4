// Which Python types are pytree nodes. One table for the whole process.
#include "pytree_structure.hpp"
#include "refusal.hpp"

namespace fornax::pytree {

PyTypeObject* default_dict_type = nullptr;
PyObject* fields_name = nullptr;

namespace {

// Open addressing by type pointer: looked at for every leaf, so it has to be a few instructions.
class Table {
 public:
  Table() : slots_(64, nullptr) {}

  const Registration* find(PyTypeObject* type) const {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t slot = place(type) & mask;; slot = (slot + 1) & mask) {
      const Registration* entry = slots_[slot];
      if (entry == nullptr || entry->type == type) return entry;
    }
  }

  void insert(const Registration* registration) {
    if (2 * (count_ + 1) > slots_.size()) {
      std::vector<const Registration*> old(2 * slots_.size(), nullptr);
      old.swap(slots_);
      for (const Registration* entry : old)
        if (entry != nullptr) put(entry);
    }
    put(registration);
    ++count_;
  }

 private:
  static std::size_t place(PyTypeObject* type) {
    return static_cast<std::size_t>(
        (reinterpret_cast<std::uintptr_t>(type) >> 4) * std::uint64_t{0x9E3779B97F4A7C15} >> 32);
  }
  void put(const Registration* registration) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = place(registration->type) & mask;
    while (slots_[slot] != nullptr) slot = (slot + 1) & mask;
    slots_[slot] = registration;
  }

  std::vector<const Registration*> slots_;
  std::size_t count_ = 0;
};

// Never destroyed: nodes of structures that outlive static destruction point into it.
Table* const table = new Table;

bool is_named_tuple_type(PyTypeObject* type) {
  return PyType_FastSubclass(type, Py_TPFLAGS_TUPLE_SUBCLASS) &&
         PyObject_HasAttr(reinterpret_cast<PyObject*>(type), fields_name);
}

}  // namespace

Kind classify_type(PyTypeObject* type, const Registration*& registration) {
  registration = nullptr;
  const Registration* found = table->find(type);
  if (found == nullptr) return is_named_tuple_type(type) ? Kind::named_tuple : Kind::leaf;
  // Nodes of built-in kinds carry no registration, however their kind was found.
  if (found->kind >= Kind::custom) registration = found;
  return found->kind;
}

bool add_registration(std::unique_ptr<Registration> registration) {
  PyTypeObject* type = registration->type;
  if (table->find(type) != nullptr) {
    refuse(PyExc_ValueError, "a registration is final: structures and caches rely on it",
           "remove the second registration, or register a subclass",
           "%R is already registered as a pytree node", reinterpret_cast<PyObject*>(type));
    return false;
  }
  Py_INCREF(reinterpret_cast<PyObject*>(type));
  table->insert(registration.release());
  return true;
}

int initialise_registry() {
  if (default_dict_type != nullptr) return 0;
  fields_name = PyUnicode_InternFromString("_fields");
  Ref collections = Ref::steal(PyImport_ImportModule("collections"));
  if (fields_name == nullptr || !collections) return -1;
  PyObject* type = PyObject_GetAttrString(collections.get(), "defaultdict");
  if (type == nullptr) return -1;
  default_dict_type = reinterpret_cast<PyTypeObject*>(type);
  const std::pair<Kind, PyTypeObject*> builtin[] = {
      {Kind::none, Py_TYPE(Py_None)},      {Kind::tuple, &PyTuple_Type},
      {Kind::list, &PyList_Type},          {Kind::dict, &PyDict_Type},
      {Kind::ordered_dict, &PyODict_Type}, {Kind::default_dict, default_dict_type},
  };
  for (const auto& [kind, builtin_type] : builtin) {
    auto registration = std::make_unique<Registration>();
    registration->kind = kind;
    registration->type = builtin_type;
    if (!add_registration(std::move(registration))) return -1;
  }
  return 0;
}

}  // namespace fornax::pytree
