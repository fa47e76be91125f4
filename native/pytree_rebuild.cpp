// From a structure back to trees, and from a fuller tree down to a structure's leaves.
#include "pytree_structure.hpp"
#include "refusal.hpp"

#include <array>
#include <string>

namespace fornax::pytree {

namespace {

// Sets the pairs (keys[i], children[i]); the children stay owned by the caller.
bool fill(PyObject* dict, PyObject* keys, PyObject* const* children) {
  // An OrderedDict keeps its order beside the table and has to hear of each key itself.
  const auto set = PyODict_CheckExact(dict) ? PyODict_SetItem : PyDict_SetItem;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(keys); ++i)
    if (set(dict, PyTuple_GET_ITEM(keys, i), children[i]) != 0) return false;
  return true;
}

PyObject* build_dict(const Node& node, PyObject* const* children) {
  PyObject* keys = node.data;
  Ref dict;
  if (node.kind == Kind::dict) {
#if PY_VERSION_HEX < 0x030D0000
    // Saves growing the table step by step; later Pythons keep this call to themselves.
    dict = Ref::steal(_PyDict_NewPresized(node.arity));
#else
    dict = Ref::steal(PyDict_New());
#endif
  } else if (node.kind == Kind::ordered_dict) {
    dict = Ref::steal(PyODict_New());
  } else {
    keys = PyTuple_GET_ITEM(node.data, 1);
    dict = Ref::steal(PyObject_CallOneArg(reinterpret_cast<PyObject*>(default_dict_type),
                                          PyTuple_GET_ITEM(node.data, 0)));
  }
  if (!dict || !fill(dict.get(), keys, children)) return nullptr;
  return dict.release();
}

PyObject* build_custom(const Node& node, PyObject* const* children) {
  Ref items = Ref::steal(PyTuple_New(node.arity));
  if (!items) return nullptr;
  for (std::uint32_t i = 0; i < node.arity; ++i)
    PyTuple_SET_ITEM(items.get(), i, Py_NewRef(children[i]));
  PyObject* arguments[] = {node.data, items.get()};
  return PyObject_Vectorcall(node.registration->from_iterable, arguments, 2, nullptr);
}

PyObject* build_dataclass(const Node& node, PyObject* const* children) {
  std::vector<PyObject*> arguments(children, children + node.arity);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(node.data); ++i)
    arguments.push_back(PyTuple_GET_ITEM(node.data, i));
  return PyObject_Vectorcall(reinterpret_cast<PyObject*>(node.registration->type), arguments.data(),
                             0, node.registration->all_fields);
}

// Walks the nodes from the root backwards, so children are visited last to first.
class UpTo {
 public:
  UpTo(const Structure& structure, std::vector<PyObject*>& out)
      : nodes_(structure.nodes()), cursor_(structure.size()), out_(out), place_(out.size()) {}

  bool visit(PyObject* tree) {
    const Node& node = nodes_[--cursor_];
    if (node.kind == Kind::leaf) {
      out_[--place_] = Py_NewRef(tree);
      return true;
    }
    const Registration* registration = nullptr;
    const Kind kind = classify(tree, registration);
    if (kind != node.kind || registration_differs(node, tree, registration))
      return wrong_type(node, tree);
    if (kind == Kind::none) return true;
    if (Py_EnterRecursiveCall(" while matching a pytree with a structure")) return false;
    const bool matched = descend(node, tree, registration);
    Py_LeaveRecursiveCall();
    return matched;
  }

  const std::string& path() const { return path_; }

 private:
  static bool registration_differs(const Node& node, PyObject* tree,
                                   const Registration* registration) {
    if (node.kind == Kind::named_tuple)
      return reinterpret_cast<PyObject*>(Py_TYPE(tree)) != node.data;
    return node.registration != nullptr && node.registration != registration;
  }

  template <class... Values>
  static void other_structure(const char* found, Values... values) {
    const std::string what = std::string("the tree does not have the expected structure: ") + found;
    refuse(PyExc_ValueError, "trees that are used together are built alike",
           "tree_structure(x) of both shows where they differ; None is a tree without leaves",
           what.c_str(), values...);
  }

  static bool wrong_type(const Node& node, PyObject* tree) {
    other_structure("expected a node of type %s, but found %s: %.200R",
                    type_name(node_type(node)).c_str(), type_name(Py_TYPE(tree)).c_str(), tree);
    return false;
  }

  bool descend(const Node& node, PyObject* tree, const Registration* registration) {
    if (node.kind == Kind::dict) return descend_dict(node, tree);
    Level level;
    if (!open_level(tree, node.kind, registration, false, level)) return false;
    if (level.children.size() != node.arity) {
      other_structure("expected %s with %u children, but this one has %zu: %.200R",
                      type_name(node_type(node)).c_str(), static_cast<unsigned>(node.arity),
                      level.children.size(), tree);
      return false;
    }
    if (node.data != nullptr) {
      const int equal = metadata_equal(node, level.data.get());
      if (equal < 0) return false;
      if (equal == 0) {
        other_structure("expected %s with metadata %.200R, but the metadata here is %.200R",
                        type_name(node_type(node)).c_str(), node.data, level.data.get());
        return false;
      }
    }
    return visit_children(tree, node.kind, registration, level.children);
  }

  bool descend_dict(const Node& node, PyObject* tree) {
    Level level;
    bool matched = PyDict_GET_SIZE(tree) == PyTuple_GET_SIZE(node.data);
    for (Py_ssize_t i = 0; matched && i < PyTuple_GET_SIZE(node.data); ++i) {
      PyObject* value = PyDict_GetItemWithError(tree, PyTuple_GET_ITEM(node.data, i));
      if (value != nullptr) level.children.push_back(Py_NewRef(value));
      matched = value != nullptr;
    }
    if (!matched) {
      if (PyErr_Occurred()) return false;
      Ref present = Ref::steal(PyDict_Keys(tree));
      Ref expected = Ref::steal(PySequence_List(node.data));
      if (present && expected)
        other_structure("expected a dict with keys %.400R, but the keys here are %.400R",
                        expected.get(), present.get());
      return false;
    }
    return visit_children(tree, node.kind, nullptr, level.children);
  }

  bool visit_children(PyObject* tree, Kind kind, const Registration* registration,
                      std::vector<PyObject*>& children) {
    for (std::size_t i = children.size(); i > 0; --i) {
      if (visit(children[i - 1])) continue;
      extend_error_path(path_, tree, kind, registration, i - 1);
      return false;
    }
    return true;
  }

  const Node* nodes_;
  std::size_t cursor_;
  std::vector<PyObject*>& out_;
  std::size_t place_;
  std::string path_;
};

}  // namespace

PyObject* build_node(const Node& node, PyObject** children) {
  PyObject* built = nullptr;
  switch (node.kind) {
    case Kind::leaf:
      bug(PyExc_SystemError, "a leaf has no container to build");
      break;
    case Kind::none:
      return Py_NewRef(Py_None);
    case Kind::tuple:
    case Kind::list: {
      const bool is_tuple = node.kind == Kind::tuple;
      built = is_tuple ? PyTuple_New(node.arity) : PyList_New(node.arity);
      if (built == nullptr) break;
      for (std::uint32_t i = 0; i < node.arity; ++i) {
        if (is_tuple)
          PyTuple_SET_ITEM(built, i, children[i]);
        else
          PyList_SET_ITEM(built, i, children[i]);
      }
      return built;
    }
    case Kind::dict:
    case Kind::ordered_dict:
    case Kind::default_dict:
      built = build_dict(node, children);
      break;
    case Kind::named_tuple:
      built = PyObject_Vectorcall(node.data, children, node.arity, nullptr);
      break;
    case Kind::custom:
      built = build_custom(node, children);
      break;
    case Kind::dataclass:
      built = build_dataclass(node, children);
      break;
    case Kind::constant:
      return Py_NewRef(node.data);
  }
  for (std::uint32_t i = 0; i < node.arity; ++i) Py_DECREF(children[i]);
  return built;
}

PyObject* rebuild(const Structure& structure, PyObject** leaves, std::size_t count, bool owned) {
  if (count != structure.root().leaves) {
    const bool few = count < structure.root().leaves;
    refuse(PyExc_ValueError, "a tree is rebuilt from one value for each of its leaves",
           "the leaves of a tree of this structure, tree_leaves(x)",
           "too %s leaves for a pytree structure: it has %u, got %s%zu", few ? "few" : "many",
           static_cast<unsigned>(structure.root().leaves), few ? "" : "at least ", count);
    return nullptr;
  }
  const Node* nodes = structure.nodes();
  ObjectList scratch;
  std::vector<PyObject*>& built = scratch.items();
  for (std::size_t i = 0; i < structure.size(); ++i) {
    const Node& node = nodes[i];
    if (node.kind == Kind::leaf) {
      PyObject*& leaf = *leaves++;
      built.push_back(owned ? std::exchange(leaf, nullptr) : Py_NewRef(leaf));
      continue;
    }
    const std::size_t first = built.size() - node.arity;
    PyObject* object = build_node(node, built.data() + first);
    built.resize(first);  // build_node took the children over
    if (object == nullptr) return nullptr;
    built.push_back(object);
  }
  PyObject* tree = built.back();
  built.pop_back();
  return tree;
}

PyObject* rebuild_from(const Structure& structure, PyObject* leaves) {
  // A tuple cannot change while unflatten functions run, anything else may.
  if (PyTuple_CheckExact(leaves))
    return rebuild(structure, PySequence_Fast_ITEMS(leaves),
                   static_cast<std::size_t>(PyTuple_GET_SIZE(leaves)), false);
  ObjectList list;
  std::vector<PyObject*>& items = list.items();
  if (PyList_CheckExact(leaves)) {
    PyObject** first = PySequence_Fast_ITEMS(leaves);
    items.assign(first, first + PyList_GET_SIZE(leaves));
    for (PyObject* item : items) Py_INCREF(item);
  } else {
    Ref iterator = Ref::steal(PyObject_GetIter(leaves));
    if (!iterator) return nullptr;
    while (items.size() <= structure.root().leaves) {
      PyObject* item = PyIter_Next(iterator.get());
      if (item == nullptr) break;
      items.push_back(item);
    }
    if (PyErr_Occurred()) return nullptr;
  }
  return rebuild(structure, items.data(), items.size(), true);
}

bool flatten_up_to(const Structure& structure, PyObject* tree, std::vector<PyObject*>& out) {
  out.assign(structure.root().leaves, nullptr);
  UpTo walk(structure, out);
  if (walk.visit(tree)) return true;
  release_all(out, 0);
  locate_error(walk.path());
  return false;
}

}  // namespace fornax::pytree
