// One level of a pytree node: its children, their keys, and the metadata that stays behind.
#include "pytree_structure.hpp"
#include "refusal.hpp"

#include <algorithm>
#include <array>

namespace fornax::pytree {

namespace {

PyObject* sequence_key = nullptr;
PyObject* dict_key = nullptr;
PyObject* attribute_key = nullptr;
PyObject* flattened_key = nullptr;

// Remembers how recently seen dicts sort. Parameter dicts come back call after call with the very
// same key objects in the same insertion order, so looking at the pointers replaces the sort, and
// equal dicts end up sharing one tuple of keys, which makes comparing structures cheap as well.
struct KeyOrder {
  Ref keys;                             // sorted; keeps the pointers below alive
  std::vector<PyObject*> inserted;      // keys in insertion order
  std::vector<std::uint32_t> position;  // insertion order -> sorted order
  std::uint64_t hash = 0;
};
constexpr std::size_t order_slots = 512;
constexpr Py_ssize_t longest_cached = 1024;

std::array<KeyOrder, order_slots>& key_orders() {
  static auto* instance = new std::array<KeyOrder, order_slots>;
  return *instance;
}

std::uint64_t mix_pointer(std::uint64_t hash, const void* pointer) {
  hash ^= reinterpret_cast<std::uintptr_t>(pointer) >> 4;
  hash *= std::uint64_t{0x9E3779B97F4A7C15};
  return hash ^ (hash >> 29);
}

bool sort_error(PyObject* dict) {
  if (PyErr_ExceptionMatches(PyExc_Exception) == 0) return false;
  Cause cause;
  const std::string reason = text_of(cause.get(), false);
  refuse(PyExc_ValueError,
         "a pytree orders dictionary entries by key, so keys have to be comparable with <",
         "keys of one type, or an OrderedDict, which keeps insertion order",
         "the keys of a %s cannot be sorted: %s", type_name(Py_TYPE(dict)).c_str(),
         reason.c_str());
  cause.attach();
  return false;
}

bool values_for(PyObject* dict, PyObject* keys, std::vector<PyObject*>& values) {
  const Py_ssize_t count = PyTuple_GET_SIZE(keys);
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* value = PyDict_GetItemWithError(dict, PyTuple_GET_ITEM(keys, i));
    if (value == nullptr) {
      if (!PyErr_Occurred())
        refuse(PyExc_RuntimeError, "another thread, or the code of one of its keys, changed it",
               "flatten a copy: dict(x)", "%s changed while it was being flattened",
               Py_TYPE(dict)->tp_name);
      return false;
    }
    values.push_back(Py_NewRef(value));
  }
  return true;
}

// Fills `order` for a dict whose keys all are str, or all int, in sorted order `keys`.
void remember(KeyOrder& order, PyObject* dict, PyObject* keys, std::uint64_t hash) {
  const auto count = static_cast<std::size_t>(PyTuple_GET_SIZE(keys));
  std::vector<std::pair<PyObject*, std::uint32_t>> places(count);
  for (std::size_t i = 0; i < count; ++i)
    places[i] = {PyTuple_GET_ITEM(keys, static_cast<Py_ssize_t>(i)), static_cast<std::uint32_t>(i)};
  std::sort(places.begin(), places.end());
  KeyOrder fresh;
  fresh.inserted.reserve(count);
  fresh.position.reserve(count);
  Py_ssize_t cursor = 0;
  PyObject *key = nullptr, *value = nullptr;
  while (PyDict_Next(dict, &cursor, &key, &value)) {
    const auto found =
        std::lower_bound(places.begin(), places.end(), std::pair<PyObject*, std::uint32_t>{key, 0});
    fresh.inserted.push_back(key);
    fresh.position.push_back(found->second);
  }
  fresh.keys = Ref::borrow(keys);
  fresh.hash = hash;
  std::swap(order, fresh);  // the old keys are released after the slot is whole again
}

// Entries of key paths are immutable, so the ones for names and small positions are shared.
struct SharedKey {
  PyObject* type = nullptr;      // borrowed from the four above, which live as long as the process
  PyObject* argument = nullptr;  // borrowed from `key`
  Ref key;
};
std::array<SharedKey, order_slots>& shared_keys() {
  static auto* instance = new std::array<SharedKey, order_slots>;
  return *instance;
}

PyObject* make_key(PyObject* key_type, PyObject* argument) {
  if (key_type == nullptr) {
    bug(PyExc_RuntimeError, "key paths need fornax.pytree to be imported first");
    return nullptr;
  }
  if (!PyUnicode_CheckExact(argument) && !PyLong_CheckExact(argument))
    return PyObject_CallOneArg(key_type, argument);
  const std::uint64_t place = mix_pointer(mix_pointer(0, key_type), argument);
  SharedKey& shared = shared_keys()[place % order_slots];
  if (shared.type != key_type || shared.argument != argument) {
    Ref key = Ref::steal(PyObject_CallOneArg(key_type, argument));
    if (!key) return nullptr;
    shared.type = key_type;
    shared.argument = argument;
    std::swap(shared.key, key);
  }
  return Py_NewRef(shared.key.get());
}

bool number_keys(PyObject* key_type, std::size_t count, std::vector<PyObject*>& keys) {
  for (std::size_t i = 0; i < count; ++i) {
    Ref index = Ref::steal(PyLong_FromSize_t(i));
    PyObject* key = index ? make_key(key_type, index.get()) : nullptr;
    if (key == nullptr) return false;
    keys.push_back(key);
  }
  return true;
}

bool named_keys(PyObject* key_type, PyObject* names, std::size_t count,
                std::vector<PyObject*>& keys) {
  for (std::size_t i = 0; i < count; ++i) {
    Ref name = Ref::steal(PySequence_GetItem(names, static_cast<Py_ssize_t>(i)));
    PyObject* key = name ? make_key(key_type, name.get()) : nullptr;
    if (key == nullptr) return false;
    keys.push_back(key);
  }
  return true;
}

bool open_with_keys(PyObject* object, const Registration& registration, Level& level) {
  Ref pairs;
  if (!call_to_iterable(registration.to_iterable_with_keys, object, pairs, level.data))
    return false;
  const Py_ssize_t count = PyTuple_GET_SIZE(pairs.get());
  for (Py_ssize_t i = 0; i < count; ++i) {
    Ref pair = Ref::steal(PySequence_Tuple(PyTuple_GET_ITEM(pairs.get(), i)));
    if (!pair || PyTuple_GET_SIZE(pair.get()) != 2) {
      refuse(PyExc_ValueError, "a path to a leaf has one key for each node on the way",
             "((GetAttrKey('x'), self.x), (GetAttrKey('y'), self.y)), metadata",
             "the flatten function with keys of pytree node type %s should return (key, child) "
             "pairs, but entry %zd is %R",
             type_name(registration.type).c_str(), i, PyTuple_GET_ITEM(pairs.get(), i));
      return false;
    }
    level.keys.push_back(Py_NewRef(PyTuple_GET_ITEM(pair.get(), 0)));
    level.children.push_back(Py_NewRef(PyTuple_GET_ITEM(pair.get(), 1)));
  }
  return true;
}

}  // namespace

Level::~Level() {
  release_all(children, 0);
  release_all(keys, 0);
}

bool sorted_items(PyObject* dict, Metadata& out, std::vector<PyObject*>& values) {
  const Py_ssize_t count = PyDict_GET_SIZE(dict);
  std::uint64_t place = static_cast<std::uint64_t>(count);
  Py_ssize_t cursor = 0;
  PyObject *key = nullptr, *value = nullptr;
  bool all_text = count > 0 && count <= longest_cached;
  bool all_numbers = all_text;
  while (PyDict_Next(dict, &cursor, &key, &value)) {
    all_text = all_text && PyUnicode_CheckExact(key);
    all_numbers = all_numbers && PyLong_CheckExact(key);
    place = mix_pointer(place, key);
  }
  const bool cacheable = all_text || all_numbers;
  KeyOrder& order = key_orders()[place % order_slots];
  if (cacheable && order.inserted.size() == static_cast<std::size_t>(count)) {
    const std::size_t base = values.size();
    values.resize(base + static_cast<std::size_t>(count), nullptr);
    std::size_t seen = 0;
    cursor = 0;
    while (PyDict_Next(dict, &cursor, &key, &value)) {
      if (order.inserted[seen] != key) break;
      values[base + order.position[seen++]] = value;
    }
    if (seen == static_cast<std::size_t>(count)) {
      for (std::size_t i = base; i < values.size(); ++i) Py_INCREF(values[i]);
      out.object = order.keys;
      out.hash = order.hash;
      out.exactness = Exactness::atomic;
      return true;
    }
    values.resize(base);
  }
  Ref keys = Ref::steal(PyDict_Keys(dict));
  if (!keys) return false;
  if (PyList_Sort(keys.get()) != 0) return sort_error(dict);
  out.object = Ref::steal(PyList_AsTuple(keys.get()));
  if (!out.object) return false;
  out.hash = data_hash(out.object.get(), out.exactness);
  if (cacheable) remember(order, dict, out.object.get(), out.hash);
  return values_for(dict, out.object.get(), values);
}

bool ordered_items(PyObject* dict, Metadata& out, std::vector<PyObject*>& values) {
  out.object = Ref::steal(PySequence_Tuple(dict));
  if (!out.object) return false;
  out.hash = data_hash(out.object.get(), out.exactness);
  return values_for(dict, out.object.get(), values);
}

bool call_to_iterable(PyObject* function, PyObject* object, Ref& children, Ref& metadata) {
  Ref pair = Ref::steal(PyObject_CallOneArg(function, object));
  if (!pair) return false;
  const auto refuse_pair = [&](const char* detail) {
    refuse(PyExc_ValueError, "children are pytrees again, metadata belongs to the structure",
           "(self.x, self.y), self.name",
           "the flatten function of pytree node type %s should return a tuple (children, "
           "metadata)%s, but it returned %R",
           type_name(Py_TYPE(object)).c_str(), detail, pair.get());
  };
  if (!PyTuple_Check(pair.get()) || PyTuple_GET_SIZE(pair.get()) != 2) {
    refuse_pair("");
    return false;
  }
  children = Ref::steal(PySequence_Tuple(PyTuple_GET_ITEM(pair.get(), 0)));
  if (!children) {
    // An error raised while a generator of children runs is the user's own and stays.
    if (Py_TYPE(PyTuple_GET_ITEM(pair.get(), 0))->tp_iter == nullptr &&
        PyErr_ExceptionMatches(PyExc_TypeError))
      refuse_pair(" with iterable children");
    return false;
  }
  metadata = Ref::borrow(PyTuple_GET_ITEM(pair.get(), 1));
  return true;
}

bool dataclass_fields(PyObject* object, const Registration& registration,
                      std::vector<PyObject*>& values, Ref& metadata) {
  const Py_ssize_t data_count = PyTuple_GET_SIZE(registration.data_fields);
  for (Py_ssize_t i = 0; i < data_count; ++i) {
    PyObject* value = PyObject_GetAttr(object, PyTuple_GET_ITEM(registration.data_fields, i));
    if (value == nullptr) return false;
    values.push_back(value);
  }
  const Py_ssize_t meta_count = PyTuple_GET_SIZE(registration.meta_fields);
  metadata = Ref::steal(PyTuple_New(meta_count));
  if (!metadata) return false;
  for (Py_ssize_t i = 0; i < meta_count; ++i) {
    PyObject* value = PyObject_GetAttr(object, PyTuple_GET_ITEM(registration.meta_fields, i));
    if (value == nullptr) return false;
    PyTuple_SET_ITEM(metadata.get(), i, value);
  }
  return true;
}

bool open_level(PyObject* object, Kind kind, const Registration* registration, bool want_keys,
                Level& level) {
  switch (kind) {
    case Kind::leaf:
    case Kind::none:
      return true;
    case Kind::constant:
      level.data = Ref::borrow(object);
      return true;
    case Kind::tuple:
    case Kind::list: {
      Ref items = Ref::steal(PySequence_Tuple(object));
      if (!items) return false;
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i)
        level.children.push_back(Py_NewRef(PyTuple_GET_ITEM(items.get(), i)));
      return !want_keys || number_keys(sequence_key, level.children.size(), level.keys);
    }
    case Kind::named_tuple: {
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); ++i)
        level.children.push_back(Py_NewRef(PyTuple_GET_ITEM(object, i)));
      level.data = Ref::borrow(reinterpret_cast<PyObject*>(Py_TYPE(object)));
      if (!want_keys) return true;
      Ref names = Ref::steal(PyObject_GetAttr(object, fields_name));
      return names && named_keys(attribute_key, names.get(), level.children.size(), level.keys);
    }
    case Kind::dict:
    case Kind::default_dict:
    case Kind::ordered_dict: {
      Metadata sorted;
      const bool opened = kind == Kind::ordered_dict ? ordered_items(object, sorted, level.children)
                                                     : sorted_items(object, sorted, level.children);
      if (!opened) return false;
      if (want_keys &&
          !named_keys(dict_key, sorted.object.get(), level.children.size(), level.keys))
        return false;
      if (kind == Kind::default_dict) {
        Ref factory = Ref::steal(PyObject_GetAttrString(object, "default_factory"));
        if (!factory) return false;
        level.data = Ref::steal(PyTuple_Pack(2, factory.get(), sorted.object.get()));
        return static_cast<bool>(level.data);
      }
      level.data = std::move(sorted.object);
      return true;
    }
    case Kind::custom: {
      if (want_keys && registration->to_iterable_with_keys != nullptr)
        return open_with_keys(object, *registration, level);
      Ref children;
      if (!call_to_iterable(registration->to_iterable, object, children, level.data)) return false;
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(children.get()); ++i)
        level.children.push_back(Py_NewRef(PyTuple_GET_ITEM(children.get(), i)));
      return !want_keys || number_keys(flattened_key, level.children.size(), level.keys);
    }
    case Kind::dataclass:
      if (!dataclass_fields(object, *registration, level.children, level.data)) return false;
      return !want_keys || named_keys(attribute_key, registration->data_fields,
                                      level.children.size(), level.keys);
  }
  return true;
}

int set_key_types(PyObject* sequence, PyObject* dict, PyObject* attribute, PyObject* flattened) {
  sequence_key = Py_NewRef(sequence);
  dict_key = Py_NewRef(dict);
  attribute_key = Py_NewRef(attribute);
  flattened_key = Py_NewRef(flattened);
  return 0;
}

std::string path_piece(PyObject* object, Kind kind, const Registration* registration,
                       std::size_t index) {
  const auto place = static_cast<Py_ssize_t>(index);
  switch (kind) {
    case Kind::tuple:
    case Kind::list:
      return "[" + std::to_string(index) + "]";
    case Kind::dict:
    case Kind::default_dict:
    case Kind::ordered_dict: {
      Level level;
      if (open_level(object, kind, registration, false, level)) {
        PyObject* keys = level.data.get();
        if (kind == Kind::default_dict) keys = PyTuple_GET_ITEM(keys, 1);
        if (place < PyTuple_GET_SIZE(keys))
          return "[" + text_of(PyTuple_GET_ITEM(keys, place), true) + "]";
      }
      PyErr_Clear();
      break;
    }
    case Kind::named_tuple: {
      Ref names = Ref::steal(PyObject_GetAttr(object, fields_name));
      Ref name = Ref::steal(names ? PySequence_GetItem(names.get(), place) : nullptr);
      if (name) return "." + text_of(name.get(), false);
      PyErr_Clear();
      break;
    }
    case Kind::dataclass:
      if (place < PyTuple_GET_SIZE(registration->data_fields))
        return "." + text_of(PyTuple_GET_ITEM(registration->data_fields, place), false);
      break;
    default:
      break;
  }
  return "[<flat index " + std::to_string(index) + ">]";
}

}  // namespace fornax::pytree
