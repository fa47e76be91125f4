// The public functions of pytree.hpp and the Python namespace `_native.pytree`.
#include "pytree_structure.hpp"
#include "refusal.hpp"

namespace fornax {

namespace {

PyObject* structure_of_leaf() {
  pytree::NodeList nodes;
  nodes.items().emplace_back();
  return pytree::make_structure(nodes, pytree::Intern::always);
}

}  // namespace

bool flatten_leaves(PyObject* tree, std::vector<PyObject*>& leaves, PyObject** structure_out) {
  using namespace pytree;
  const FlattenOptions options;
  const std::size_t before = leaves.size();
  if (structure_out == nullptr) return flatten_tree(tree, options, leaves, nullptr);
  const Registration* registration = nullptr;
  if (classify(tree, registration) == Kind::leaf) {
    // By far the most common argument. Its structure is kept for good.
    static PyObject* const leaf = structure_of_leaf();
    if (leaf == nullptr) return false;
    leaves.push_back(Py_NewRef(tree));
    *structure_out = Py_NewRef(leaf);
    return true;
  }
  NodeList nodes;
  if (!flatten_tree(tree, options, leaves, &nodes)) return false;
  *structure_out = make_structure(nodes, Intern::always);
  if (*structure_out != nullptr) return true;
  release_all(leaves, before);
  return false;
}

PyObject* unflatten(PyObject* structure, PyObject* const* leaves, std::size_t count) {
  // Leaves that are not owned are only read.
  return pytree::rebuild(*pytree::as_structure(structure), const_cast<PyObject**>(leaves), count,
                         false);
}

bool is_structure(PyObject* object) { return Py_TYPE(object) == pytree::structure_type; }

namespace pytree {
namespace {

struct Arguments {
  PyObject* tree = nullptr;
  FlattenOptions options;
};

// Reads (tree, is_leaf=None, none_is_leaf=False, is_leaf_takes_path=False), positional only:
// the Python functions in front of these have names and defaults.
bool read(const char* name, PyObject* const* values, Py_ssize_t count, Arguments& out) {
  if (count < 1 || count > 4) {
    bug(PyExc_TypeError, "%s expects 1 to 4 arguments, got %zd", name, count);
    return false;
  }
  out.tree = values[0];
  if (count > 1 && values[1] != Py_None) out.options.is_leaf = values[1];
  const int none_is_leaf = count > 2 ? PyObject_IsTrue(values[2]) : 0;
  const int takes_path = count > 3 ? PyObject_IsTrue(values[3]) : 0;
  out.options.none_is_leaf = none_is_leaf == 1;
  out.options.is_leaf_takes_path = takes_path == 1;
  return none_is_leaf >= 0 && takes_path >= 0;
}

PyObject* flatten(PyObject*, PyObject* const* values, Py_ssize_t count) {
  Arguments arguments;
  ObjectList leaves;
  NodeList nodes;
  if (!read("flatten", values, count, arguments) ||
      !flatten_tree(arguments.tree, arguments.options, leaves.items(), &nodes))
    return nullptr;
  Ref structure = Ref::steal(make_structure(nodes, Intern::exact));
  Ref list = Ref::steal(structure ? list_from(leaves.items()) : nullptr);
  return list ? PyTuple_Pack(2, list.get(), structure.get()) : nullptr;
}

PyObject* leaves_of(PyObject*, PyObject* const* values, Py_ssize_t count) {
  Arguments arguments;
  ObjectList leaves;
  if (!read("leaves", values, count, arguments) ||
      !flatten_tree(arguments.tree, arguments.options, leaves.items(), nullptr))
    return nullptr;
  return list_from(leaves.items());
}

PyObject* structure_of(PyObject*, PyObject* const* values, Py_ssize_t count) {
  Arguments arguments;
  ObjectList leaves;
  NodeList nodes;
  if (!read("structure", values, count, arguments) ||
      !flatten_tree(arguments.tree, arguments.options, leaves.items(), &nodes))
    return nullptr;
  return make_structure(nodes, Intern::exact);
}

PyObject* canonical(PyObject*, PyObject* tree) {
  ObjectList leaves;
  PyObject* structure = nullptr;
  return flatten_leaves(tree, leaves.items(), &structure) ? structure : nullptr;
}

PyObject* with_path(PyObject*, PyObject* const* values, Py_ssize_t count) {
  Arguments arguments;
  ObjectList leaves, paths;
  NodeList nodes;
  if (!read("flatten_with_path", values, count, arguments) ||
      !flatten_with_path(arguments.tree, arguments.options, leaves.items(), paths.items(), nodes))
    return nullptr;
  Ref structure = Ref::steal(make_structure(nodes, Intern::exact));
  if (!structure) return nullptr;
  Ref path_list = Ref::steal(list_from(paths.items()));
  Ref leaf_list = Ref::steal(path_list ? list_from(leaves.items()) : nullptr);
  return leaf_list ? PyTuple_Pack(3, path_list.get(), leaf_list.get(), structure.get()) : nullptr;
}

PyObject* one_level(PyObject*, PyObject* const* values, Py_ssize_t count) {
  Arguments arguments;
  if (!read("flatten_one_level", values, count, arguments)) return nullptr;
  const Registration* registration = nullptr;
  const Kind kind = classify(arguments.tree, registration);
  if (kind == Kind::leaf || (kind == Kind::none && arguments.options.none_is_leaf)) Py_RETURN_NONE;
  // The second argument asks for keys here.
  const bool want_keys = arguments.options.is_leaf == Py_True;
  Level level;
  if (!open_level(arguments.tree, kind, registration, want_keys, level)) return nullptr;
  Ref children = Ref::steal(list_from(level.children));
  Ref keys = Ref::steal(children && want_keys ? list_from(level.keys) : Py_NewRef(Py_None));
  if (!children || !keys) return nullptr;
  PyObject* data = level.data ? level.data.get() : Py_None;
  return PyTuple_Pack(3, children.get(), keys.get(), data);
}

PyObject* all_leaves(PyObject*, PyObject* const* values, Py_ssize_t count) {
  Arguments arguments;
  if (!read("all_leaves", values, count, arguments)) return nullptr;
  Ref items = Ref::steal(PyObject_GetIter(arguments.tree));
  if (!items) return nullptr;
  while (Ref item = Ref::steal(PyIter_Next(items.get()))) {
    const Registration* registration = nullptr;
    const Kind kind = classify(item.get(), registration);
    if (kind != Kind::leaf && !(kind == Kind::none && arguments.options.none_is_leaf))
      Py_RETURN_FALSE;
  }
  return PyErr_Occurred() ? nullptr : Py_NewRef(Py_True);
}

PyObject* is_node_type(PyObject*, PyObject* type) {
  const Registration* registration = nullptr;
  return PyBool_FromLong(PyType_Check(type) && classify_type(reinterpret_cast<PyTypeObject*>(type),
                                                             registration) != Kind::leaf);
}

// The class a registration names, or nullptr with TypeError.
PyTypeObject* class_argument(PyObject* type) {
  if (PyType_Check(type)) return reinterpret_cast<PyTypeObject*>(type);
  refuse(PyExc_TypeError, "", "the class of the objects, type(x)",
         "only a class can be registered as a pytree node, got %.200R", type);
  return nullptr;
}

PyObject* register_node(PyObject*, PyObject* values) {
  PyObject *type = nullptr, *to_iterable = nullptr, *from_iterable = nullptr, *with_keys = Py_None;
  if (!PyArg_ParseTuple(values, "OOO|O:register_node", &type, &to_iterable, &from_iterable,
                        &with_keys))
    return nullptr;
  auto registration = std::make_unique<Registration>();
  registration->kind = Kind::custom;
  registration->type = class_argument(type);
  if (registration->type == nullptr) return nullptr;
  registration->to_iterable = to_iterable;
  registration->from_iterable = from_iterable;
  if (with_keys != Py_None) registration->to_iterable_with_keys = with_keys;
  const Registration* added = registration.get();
  if (!add_registration(std::move(registration))) return nullptr;
  Py_INCREF(added->to_iterable);
  Py_INCREF(added->from_iterable);
  Py_XINCREF(added->to_iterable_with_keys);
  Py_RETURN_NONE;
}

PyObject* register_dataclass(PyObject*, PyObject* values) {
  PyObject *type = nullptr, *data_fields = nullptr, *meta_fields = nullptr;
  if (!PyArg_ParseTuple(values, "OO!O!:register_dataclass", &type, &PyTuple_Type, &data_fields,
                        &PyTuple_Type, &meta_fields))
    return nullptr;
  auto registration = std::make_unique<Registration>();
  registration->kind = Kind::dataclass;
  registration->type = class_argument(type);
  if (registration->type == nullptr) return nullptr;
  Ref all_fields = Ref::steal(PySequence_Concat(data_fields, meta_fields));
  if (!all_fields) return nullptr;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(all_fields.get()); ++i) {
    if (PyUnicode_CheckExact(PyTuple_GET_ITEM(all_fields.get(), i))) continue;
    refuse(PyExc_TypeError, "", "data_fields=['x', 'y'], the names of its attributes",
           "the field names of %s should be strings, got %.200R",
           type_name(registration->type).c_str(), PyTuple_GET_ITEM(all_fields.get(), i));
    return nullptr;
  }
  registration->data_fields = data_fields;
  registration->meta_fields = meta_fields;
  registration->all_fields = all_fields.get();
  if (!add_registration(std::move(registration))) return nullptr;
  Py_INCREF(data_fields);
  Py_INCREF(meta_fields);
  all_fields.release();
  Py_RETURN_NONE;
}

PyObject* register_static(PyObject*, PyObject* type) {
  auto registration = std::make_unique<Registration>();
  registration->kind = Kind::constant;
  registration->type = class_argument(type);
  if (registration->type == nullptr || !add_registration(std::move(registration))) return nullptr;
  Py_RETURN_NONE;
}

PyObject* tuple_of(PyObject*, PyObject* structures) {
  Ref items = as_sequence(structures, "[tree_structure(x), tree_structure(y)]",
                          "treedef_tuple expects an iterable");
  if (!items) return nullptr;
  NodeList list;
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(items.get());
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(items.get(), i);
    if (!is_structure(item)) {
      refuse(PyExc_TypeError, "", "tree_structure(x) of what is no structure yet",
             "treedef_tuple expects PyTreeDefs, but entry %zd is %.200R", i, item);
      return nullptr;
    }
    const Structure* structure = as_structure(item);
    for (std::size_t j = 0; j < structure->size(); ++j) list.push_copy(structure->nodes()[j]);
  }
  list.close(Kind::tuple, static_cast<std::size_t>(count), 0, list.leaves_since(0));
  return make_structure(list, Intern::exact);
}

PyObject* key_types(PyObject*, PyObject* values) {
  PyObject *sequence = nullptr, *dict = nullptr, *attribute = nullptr, *flattened = nullptr;
  if (!PyArg_ParseTuple(values, "OOOO:set_key_types", &sequence, &dict, &attribute, &flattened))
    return nullptr;
  set_key_types(sequence, dict, attribute, flattened);
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"flatten", method(flatten), METH_FASTCALL,
     "flatten(tree, is_leaf=None, none_is_leaf=False, /)\n--\n\n(leaves, structure) of a tree."},
    {"leaves", method(leaves_of), METH_FASTCALL,
     "leaves(tree, is_leaf=None, none_is_leaf=False, /)\n--\n\nThe leaves alone."},
    {"structure", method(structure_of), METH_FASTCALL,
     "structure(tree, is_leaf=None, none_is_leaf=False, /)\n--\n\nThe structure alone."},
    {"canonical_structure", canonical, METH_O,
     "canonical_structure(tree, /)\n--\n\nThe structure that stands for all equal ones: the jit "
     "key."},
    {"flatten_with_path", method(with_path), METH_FASTCALL,
     "flatten_with_path(tree, is_leaf=None, none_is_leaf=False, is_leaf_takes_path=False, "
     "/)\n--\n\n"
     "(key paths, leaves, structure)."},
    {"flatten_one_level", method(one_level), METH_FASTCALL,
     "flatten_one_level(node, want_keys=False, none_is_leaf=False, /)\n--\n\n"
     "(children, keys or None, metadata) of a node, None for a leaf."},
    {"all_leaves", method(all_leaves), METH_FASTCALL,
     "all_leaves(items, is_leaf=None, none_is_leaf=False, /)\n--\n\nWhether no item is a node."},
    {"is_node_type", is_node_type, METH_O,
     "is_node_type(type, /)\n--\n\nWhether instances of exactly this class are pytree nodes."},
    {"register_node", register_node, METH_VARARGS,
     "register_node(type, to_iterable, from_iterable, to_iterable_with_keys=None, /)\n--\n\n"
     "Makes instances of exactly this class nodes. Final: a second registration is a ValueError."},
    {"register_dataclass", register_dataclass, METH_VARARGS,
     "register_dataclass(type, data_fields, meta_fields, /)\n--\n\n"
     "Nodes read by attribute and rebuilt by keyword; tuples of field names."},
    {"register_static", register_static, METH_O,
     "register_static(type, /)\n--\n\nNodes without children that are their own metadata."},
    {"treedef_tuple", tuple_of, METH_O,
     "treedef_tuple(structures, /)\n--\n\nThe structure of a tuple of trees with these "
     "structures."},
    {"set_key_types", key_types, METH_VARARGS,
     "set_key_types(sequence, dict, attribute, flattened, /)\n--\n\nThe classes of key path "
     "entries."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace
}  // namespace pytree

int register_pytree(PyObject* module) {
  if (pytree::initialise_registry() != 0 || pytree::initialise_structure(module) != 0) return -1;
  Ref space = Ref::steal(PyModule_New("fornax._native.pytree"));
  if (!space || PyModule_AddFunctions(space.get(), pytree::functions) != 0) return -1;
  PyModule_SetDocString(space.get(), "Flattening and rebuilding of pytrees; see fornax.pytree.");
  return PyModule_AddObjectRef(module, "pytree", space.get());
}

}  // namespace fornax
