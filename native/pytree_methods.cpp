// Methods of PyTreeDef.
#include "pytree_structure.hpp"
#include "refusal.hpp"

namespace fornax::pytree {

namespace {

// Pushes copies of the nodes of `structure`.
void push_subtree(NodeList& list, const Structure& structure) {
  for (std::size_t i = 0; i < structure.size(); ++i) list.push_copy(structure.nodes()[i]);
}

Structure* checked_structure(PyObject* object) {
  if (Py_TYPE(object) == structure_type) return as_structure(object);
  refuse(PyExc_TypeError, "", "tree_structure(x) of a tree", "expected a PyTreeDef, got %s: %.200R",
         type_name(Py_TYPE(object)).c_str(), object);
  return nullptr;
}

PyObject* method_unflatten(PyObject* self, PyObject* leaves) {
  return rebuild_from(*as_structure(self), leaves);
}

PyObject* method_flatten_up_to(PyObject* self, PyObject* tree) {
  std::vector<PyObject*> out;
  return flatten_up_to(*as_structure(self), tree, out) ? list_from(out) : nullptr;
}

PyObject* method_compose(PyObject* self, PyObject* other) {
  const Structure* inner = checked_structure(other);
  if (inner == nullptr) return nullptr;
  const Structure* outer = as_structure(self);
  NodeList list;
  std::vector<std::size_t> starts;  // first node of each finished subtree
  for (std::size_t i = 0; i < outer->size(); ++i) {
    const Node& node = outer->nodes()[i];
    if (node.kind == Kind::leaf) {
      starts.push_back(list.items().size());
      push_subtree(list, *inner);
      continue;
    }
    const std::size_t first =
        node.arity == 0 ? list.items().size() : starts[starts.size() - node.arity];
    starts.resize(starts.size() - node.arity);
    starts.push_back(first);
    list.close(node.kind, node.arity, first, list.leaves_since(first),
               {Ref::borrow(node.data), node.data_hash, node.exactness}, node.registration);
  }
  return make_structure(list, Intern::exact);
}

PyObject* method_children(PyObject* self, PyObject*) {
  const Structure* structure = as_structure(self);
  const Node* nodes = structure->nodes();
  Ref children = Ref::steal(PyList_New(structure->root().arity));
  std::size_t end = structure->size() - 1;
  for (Py_ssize_t i = Py_ssize_t{structure->root().arity} - 1; children && i >= 0; --i) {
    NodeList list;
    for (std::size_t j = end - nodes[end - 1].nodes; j < end; ++j) list.push_copy(nodes[j]);
    end -= nodes[end - 1].nodes;
    PyObject* child = make_structure(list, Intern::exact);
    if (child == nullptr) return nullptr;
    PyList_SET_ITEM(children.get(), i, child);
  }
  return children.release();
}

PyObject* method_node_data(PyObject* self, PyObject*) {
  const Node& root = as_structure(self)->root();
  if (root.kind == Kind::leaf) Py_RETURN_NONE;
  const Ref data = node_metadata(root);
  return data ? PyTuple_Pack(2, as_object(node_type(root)), data.get()) : nullptr;
}

PyObject* method_walk(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 3) {
    refuse(PyExc_TypeError, "", "structure.walk(on_node, on_leaf, leaves)",
           "walk expects (node function, leaf function, leaves), got %zd arguments", count);
    return nullptr;
  }
  Ref leaves = as_sequence(arguments[2], "tree_leaves(x)", "walk expects an iterable of leaves");
  if (!leaves) return nullptr;
  const Structure* structure = as_structure(self);
  if (PySequence_Fast_GET_SIZE(leaves.get()) != Py_ssize_t{structure->root().leaves}) {
    refuse(PyExc_ValueError, "", "the leaves of a tree of this structure, tree_leaves(x)",
           "walk expects %u leaves, got %zd", static_cast<unsigned>(structure->root().leaves),
           PySequence_Fast_GET_SIZE(leaves.get()));
    return nullptr;
  }
  std::vector<Ref> results;
  Py_ssize_t next_leaf = 0;
  for (std::size_t i = 0; i < structure->size(); ++i) {
    const Node& node = structure->nodes()[i];
    Ref result;
    if (node.kind == Kind::leaf) {
      result = Ref::borrow(PySequence_Fast_GET_ITEM(leaves.get(), next_leaf++));
      if (arguments[1] != Py_None)
        result = Ref::steal(PyObject_CallOneArg(arguments[1], result.get()));
    } else {
      Ref children = Ref::steal(PyTuple_New(node.arity));
      // A named tuple's class is what is needed to build one here, unlike in node_data().
      const Ref data =
          node.kind == Kind::named_tuple ? Ref::borrow(node.data) : node_metadata(node);
      if (!children || !data) return nullptr;
      const std::size_t first = results.size() - node.arity;
      for (std::uint32_t j = 0; j < node.arity; ++j)
        PyTuple_SET_ITEM(children.get(), j, results[first + j].release());
      results.resize(first);
      PyObject* node_arguments[] = {children.get(), data.get()};
      result = Ref::steal(PyObject_Vectorcall(arguments[0], node_arguments, 2, nullptr));
    }
    if (!result) return nullptr;
    results.push_back(std::move(result));
  }
  return results.back().release();
}

// `cursor` counts nodes down from the root; children are visited last to first.
PyObject* rebuild_from_iterables(const Structure& structure, std::size_t& cursor, PyObject* tree) {
  const Node& node = structure.nodes()[--cursor];
  if (node.kind == Kind::leaf) return Py_NewRef(tree);
  Ref items = Ref::steal(node.kind == Kind::none ? PyTuple_New(0) : PySequence_Tuple(tree));
  if (!items) return nullptr;
  if (PyTuple_GET_SIZE(items.get()) != Py_ssize_t{node.arity}) {
    refuse(PyExc_ValueError, "there is one entry for each child",
           "iterables nested as the structure is",
           "the iterables do not have the arity of the structure: expected %u entries for a node "
           "of type %s, got %zd",
           static_cast<unsigned>(node.arity), type_name(node_type(node)).c_str(),
           PyTuple_GET_SIZE(items.get()));
    return nullptr;
  }
  if (Py_EnterRecursiveCall(" while rebuilding a pytree")) return nullptr;
  std::vector<PyObject*> children(node.arity, nullptr);
  bool complete = true;
  for (std::size_t i = node.arity; complete && i > 0; --i) {
    children[i - 1] = rebuild_from_iterables(
        structure, cursor, PyTuple_GET_ITEM(items.get(), static_cast<Py_ssize_t>(i - 1)));
    complete = children[i - 1] != nullptr;
  }
  Py_LeaveRecursiveCall();
  if (complete) return build_node(node, children.data());
  release_all(children, 0);
  return nullptr;
}

PyObject* method_from_iterable_tree(PyObject* self, PyObject* tree) {
  std::size_t cursor = as_structure(self)->size();
  return rebuild_from_iterables(*as_structure(self), cursor, tree);
}

PyObject* method_from_node_data_and_children(PyObject*, PyObject* const* arguments,
                                             Py_ssize_t count) {
  if (count != 3) {
    refuse(PyExc_TypeError, "",
           "PyTreeDef.from_node_data_and_children(registry, structure.node_data(), "
           "structure.children())",
           "from_node_data_and_children expects (registry, node_data, children), got %zd arguments",
           count);
    return nullptr;
  }
  PyObject* data = arguments[1];
  Ref children = as_sequence(arguments[2], "what children() of a structure gives",
                             "children must be an iterable");
  if (!children) return nullptr;
  if (data != Py_None && (!PyTuple_Check(data) || PyTuple_GET_SIZE(data) != 2)) {
    refuse(PyExc_TypeError, "", "what node_data() of a structure gives",
           "node_data should be None for a leaf, or a tuple (type, metadata), got %.200R", data);
    return nullptr;
  }
  NodeList list;
  const auto arity = static_cast<std::size_t>(PySequence_Fast_GET_SIZE(children.get()));
  for (std::size_t i = 0; i < arity; ++i) {
    const Structure* child =
        checked_structure(PySequence_Fast_GET_ITEM(children.get(), static_cast<Py_ssize_t>(i)));
    if (child == nullptr) return nullptr;
    push_subtree(list, *child);
  }
  PyObject* type = data == Py_None ? Py_None : PyTuple_GET_ITEM(data, 0);
  PyObject* metadata = data == Py_None ? Py_None : PyTuple_GET_ITEM(data, 1);
  if (!close_described(list, type, metadata, arity, 0)) return nullptr;
  return make_structure(list, Intern::exact);
}

// The state of a pickle: (type or None, metadata, arity) for every node in post-order.
PyObject* method_reduce(PyObject* self, PyObject*) {
  const Structure* structure = as_structure(self);
  Ref state = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(structure->size())));
  if (!state) return nullptr;
  for (std::size_t i = 0; i < structure->size(); ++i) {
    const Node& node = structure->nodes()[i];
    PyObject* type = node.kind == Kind::leaf ? Py_None : as_object(node_type(node));
    // NoneType cannot be pickled by every protocol in a portable way; its object can.
    if (node.kind == Kind::none) type = Py_False;
    const Ref data = node_metadata(node);
    PyObject* entry =
        data ? Py_BuildValue("(OOI)", type, data.get(), unsigned{node.arity}) : nullptr;
    if (entry == nullptr) return nullptr;
    PyTuple_SET_ITEM(state.get(), static_cast<Py_ssize_t>(i), entry);
  }
  Ref restore = Ref::steal(PyObject_GetAttrString(as_object(structure_type), "_restore"));
  return restore ? Py_BuildValue("(O(O))", restore.get(), state.get()) : nullptr;
}

void refuse_state() {
  refuse(PyExc_ValueError, "it was pickled by another version, or changed since",
         "flatten the tree again with tree_structure", "not the state of a PyTreeDef");
}

PyObject* method_restore(PyObject*, PyObject* state) {
  Ref entries = Ref::steal(PySequence_Tuple(state));
  if (!entries) return nullptr;
  NodeList list;
  std::vector<std::size_t> starts;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(entries.get()); ++i) {
    PyObject *type = nullptr, *data = nullptr;
    unsigned arity = 0;
    PyObject* entry = PyTuple_GET_ITEM(entries.get(), i);
    if (!PyTuple_Check(entry) || !PyArg_ParseTuple(entry, "OOI", &type, &data, &arity) ||
        arity > starts.size()) {
      if (!PyErr_Occurred()) refuse_state();
      return nullptr;
    }
    const std::size_t first = arity == 0 ? list.items().size() : starts[starts.size() - arity];
    starts.resize(starts.size() - arity);
    starts.push_back(first);
    if (type == Py_False) type = as_object(Py_TYPE(Py_None));
    if (!close_described(list, type, data, arity, first)) return nullptr;
  }
  if (starts.size() != 1) {
    refuse_state();
    return nullptr;
  }
  return make_structure(list, Intern::exact);
}

bool bad_description(PyTypeObject* type, const char* problem) {
  refuse(PyExc_RuntimeError, "the description does not fit what is registered for that class here",
         "register the class as it was where the structure was made, before it is loaded",
         "cannot make a pytree node of type %s: %s", type_name(type).c_str(), problem);
  return false;
}

}  // namespace

bool close_described(NodeList& list, PyObject* type, PyObject* data, std::size_t arity,
                     std::size_t first_node) {
  if (type == Py_None) {
    if (arity != 0) return bad_description(Py_TYPE(Py_None), "a leaf has no children");
    list.items().emplace_back();
    return true;
  }
  if (!PyType_Check(type)) {
    refuse(PyExc_TypeError, "", "the class of the node, dict or tuple for example",
           "a node type should be a class, got %.200R", type);
    return false;
  }
  auto* node_class = reinterpret_cast<PyTypeObject*>(type);
  const Registration* registration = nullptr;
  const Kind kind = classify_type(node_class, registration);
  Ref metadata;
  PyObject* keys = nullptr;
  switch (kind) {
    case Kind::leaf:
      return bad_description(node_class, "the type is not registered as a pytree node");
    case Kind::none:
    case Kind::constant:
      if (arity != 0) return bad_description(node_class, "it has no children");
      if (kind == Kind::constant) metadata = Ref::borrow(data);
      break;
    case Kind::tuple:
    case Kind::list:
      break;
    case Kind::named_tuple:
      metadata = Ref::borrow(type);
      break;
    case Kind::dict:
    case Kind::ordered_dict:
      metadata = Ref::steal(PySequence_Tuple(data));
      if (!metadata) return false;
      keys = metadata.get();
      break;
    case Kind::default_dict:
      if (!PyTuple_Check(data) || PyTuple_GET_SIZE(data) != 2 ||
          !PyTuple_Check(PyTuple_GET_ITEM(data, 1)))
        return bad_description(node_class, "the metadata should be (default_factory, keys)");
      metadata = Ref::borrow(data);
      keys = PyTuple_GET_ITEM(data, 1);
      break;
    case Kind::dataclass:
      if (!PyTuple_Check(data) ||
          PyTuple_GET_SIZE(data) != PyTuple_GET_SIZE(registration->meta_fields) ||
          static_cast<Py_ssize_t>(arity) != PyTuple_GET_SIZE(registration->data_fields))
        return bad_description(node_class, "the number of fields does not match");
      metadata = Ref::borrow(data);
      break;
    case Kind::custom:
      metadata = Ref::borrow(data);
      break;
  }
  if (keys != nullptr && PyTuple_GET_SIZE(keys) != static_cast<Py_ssize_t>(arity))
    return bad_description(node_class, "the number of keys differs from the number of children");
  Metadata described;
  if (metadata) described = hashed(std::move(metadata));
  list.close(kind, arity, first_node, list.leaves_since(first_node), std::move(described),
             registration);
  return true;
}

PyMethodDef structure_methods[] = {
    {"unflatten", method_unflatten, METH_O,
     "unflatten(leaves)\n--\n\nThe tree with this structure and these leaves (an iterable)."},
    {"flatten_up_to", method_flatten_up_to, METH_O,
     "flatten_up_to(tree)\n--\n\nThe subtrees of `tree` at this structure's leaves, as a list.\n\n"
     "Raises ValueError, with the key path, where this structure is not a prefix of the tree."},
    {"compose", method_compose, METH_O,
     "compose(inner)\n--\n\nThis structure with each leaf replaced by `inner`."},
    {"children", method_children, METH_NOARGS,
     "children()\n--\n\nThe structures of the root's children, as a list."},
    {"node_data", method_node_data, METH_NOARGS,
     "node_data()\n--\n\n(type, metadata) of the root, or None for a leaf."},
    {"walk", method(method_walk), METH_FASTCALL,
     "walk(on_node, on_leaf, leaves)\n--\n\nFolds the tree from the leaves up: on_leaf(leaf), "
     "then\n"
     "on_node(children results, metadata); on_leaf may be None."},
    {"from_iterable_tree", method_from_iterable_tree, METH_O,
     "from_iterable_tree(tree)\n--\n\nThe tree whose children are given as nested iterables."},
    {"from_node_data_and_children", method(method_from_node_data_and_children),
     METH_FASTCALL | METH_STATIC,
     "from_node_data_and_children(registry, node_data, children)\n--\n\n"
     "The structure with this root, as told by node_data(), and these child structures."},
    {"__reduce__", method_reduce, METH_NOARGS, "__reduce__()\n--\n\nFor pickle."},
    {"_restore", method_restore, METH_O | METH_CLASS, "_restore(state)\n--\n\nFor pickle."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace fornax::pytree
