// The structure object (public name PyTreeDef): its type, equality, hash and text.
#include "pytree_structure.hpp"
#include "refusal.hpp"

#include <structmember.h>

namespace fornax::pytree {

PyTypeObject* structure_type = nullptr;

namespace {

void structure_dealloc(PyObject* self) {
  Structure* structure = as_structure(self);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (structure->interned) forget(structure);
  if (structure->weak_references != nullptr) PyObject_ClearWeakRefs(self);
  for (std::size_t i = 0; i < structure->size(); ++i) Py_XDECREF(structure->nodes()[i].data);
  type->tp_free(self);
  Py_DECREF(reinterpret_cast<PyObject*>(type));
}

int structure_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(reinterpret_cast<PyObject*>(Py_TYPE(self)));
  Structure* structure = as_structure(self);
  for (std::size_t i = 0; i < structure->size(); ++i) Py_VISIT(structure->nodes()[i].data);
  return 0;
}

Py_hash_t structure_hash(PyObject* self) {
  const auto hash = static_cast<Py_hash_t>(as_structure(self)->hash);
  return hash == -1 ? -2 : hash;
}

PyObject* structure_compare(PyObject* self, PyObject* other, int operation) {
  if ((operation != Py_EQ && operation != Py_NE) || Py_TYPE(other) != structure_type)
    Py_RETURN_NOTIMPLEMENTED;
  const int equal = structures_equal(*as_structure(self), *as_structure(other));
  if (equal < 0) return nullptr;
  return PyBool_FromLong((operation == Py_EQ) == (equal == 1));
}

std::string join(const std::vector<std::string>& parts, std::size_t first) {
  std::string text;
  for (std::size_t i = first; i < parts.size(); ++i) {
    if (i > first) text += ", ";
    text += parts[i];
  }
  return text;
}

std::string describe(const Node& node, const std::vector<std::string>& parts, std::size_t first) {
  const std::string children = join(parts, first);
  const auto custom = [&](const std::string& head) {
    return "CustomNode(" + head + ", [" + children + "])";
  };
  switch (node.kind) {
    case Kind::leaf:
      return "*";
    case Kind::none:
      return "None";
    case Kind::tuple:
      return "(" + children + (node.arity == 1 ? ",)" : ")");
    case Kind::list:
      return "[" + children + "]";
    case Kind::dict: {
      std::string text = "{";
      for (std::size_t i = first; i < parts.size(); ++i) {
        if (i > first) text += ", ";
        PyObject* key = PyTuple_GET_ITEM(node.data, static_cast<Py_ssize_t>(i - first));
        text += text_of(key, true) + ": " + parts[i];
      }
      return text + "}";
    }
    case Kind::named_tuple:
      return custom("namedtuple[" + type_name(node_type(node)) + "]");
    default:
      return custom(type_name(node_type(node)) + "[" + text_of(node.data, false) + "]");
  }
}

PyObject* structure_repr(PyObject* self) {
  const int running = Py_ReprEnter(self);
  if (running != 0) return running > 0 ? PyUnicode_FromString("PyTreeDef(...)") : nullptr;
  const Structure* structure = as_structure(self);
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < structure->size(); ++i) {
    const Node& node = structure->nodes()[i];
    const std::size_t first = parts.size() - node.arity;
    std::string text = describe(node, parts, first);
    parts.resize(first);
    parts.push_back(std::move(text));
  }
  Py_ReprLeave(self);
  const std::string text = "PyTreeDef(" + parts.back() + ")";
  return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
}

PyObject* get_num_leaves(PyObject* self, void*) {
  return PyLong_FromUnsignedLong(as_structure(self)->root().leaves);
}

PyObject* get_num_nodes(PyObject* self, void*) {
  return PyLong_FromSize_t(as_structure(self)->size());
}

PyGetSetDef structure_fields[] = {
    {"num_leaves", get_num_leaves, nullptr, "Number of leaves.", nullptr},
    {"num_nodes", get_num_nodes, nullptr, "Number of nodes, leaves included.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef structure_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Structure, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

const char* const structure_doc =
    "The structure of a pytree: its containers and their metadata, without the leaves.\n\n"
    "Immutable, hashable, comparable with ==, picklable when its metadata is. Made by\n"
    "tree_structure and tree_flatten.";

}  // namespace

// 1 equal, 0 different, -1 error: the metadata's own ==, with a message that names the node type.
int metadata_equal(const Node& node, PyObject* other) {
  if (node.data == other) return 1;
  if (node.data == nullptr || other == nullptr) return 0;
  const int equal = PyObject_RichCompareBool(node.data, other, Py_EQ);
  if (equal >= 0 || !PyErr_ExceptionMatches(PyExc_Exception)) return equal;
  Cause cause;
  refuse(PyExc_ValueError,
         "metadata is part of the tree structure and has to be hashable, with an == that gives one "
         "truth value",
         "arrays among the children, in place of the metadata",
         "comparing the metadata of two pytree nodes of type %s failed (%s: %s)",
         type_name(node_type(node)).c_str(), type_name(Py_TYPE(cause.get())).c_str(),
         text_of(cause.get(), false).c_str());
  cause.attach();
  return -1;
}

PyTypeObject* node_type(const Node& node) {
  switch (node.kind) {
    case Kind::leaf:
      return nullptr;
    case Kind::none:
      return Py_TYPE(Py_None);
    case Kind::tuple:
      return &PyTuple_Type;
    case Kind::list:
      return &PyList_Type;
    case Kind::dict:
      return &PyDict_Type;
    case Kind::named_tuple:
      return reinterpret_cast<PyTypeObject*>(node.data);
    case Kind::ordered_dict:
      return &PyODict_Type;
    case Kind::default_dict:
      return default_dict_type;
    case Kind::custom:
    case Kind::dataclass:
    case Kind::constant:
      return node.registration->type;
  }
  return nullptr;
}

Ref node_metadata(const Node& node) {
  if (node.kind == Kind::dict) return Ref::steal(PySequence_List(node.data));
  if (node.kind == Kind::named_tuple || node.data == nullptr) return Ref::borrow(Py_None);
  return Ref::borrow(node.data);
}

int structures_equal(const Structure& left, const Structure& right) {
  if (&left == &right) return 1;
  if (left.size() != right.size() || left.hash != right.hash) return 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (!same_shape(left.nodes()[i], right.nodes()[i])) return 0;
    const int equal = metadata_equal(left.nodes()[i], right.nodes()[i].data);
    if (equal <= 0) return equal;
  }
  return 1;
}

std::string type_name(PyTypeObject* type) {
  Ref name = Ref::steal(PyObject_GetAttrString(reinterpret_cast<PyObject*>(type), "__name__"));
  if (name) return text_of(name.get(), false);
  PyErr_Clear();
  return type->tp_name;
}

std::string text_of(PyObject* object, bool represent) {
  Ref text = Ref::steal(represent ? PyObject_Repr(object) : PyObject_Str(object));
  if (text) {
    Py_ssize_t size = 0;
    const char* data = PyUnicode_AsUTF8AndSize(text.get(), &size);
    if (data != nullptr) return std::string(data, static_cast<std::size_t>(size));
  }
  PyErr_Clear();
  return std::string("<") + Py_TYPE(object)->tp_name + " object>";
}

int initialise_structure(PyObject* module) {
  if (structure_type == nullptr) {
    PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>(structure_doc)},
        {Py_tp_dealloc, reinterpret_cast<void*>(structure_dealloc)},
        {Py_tp_traverse, reinterpret_cast<void*>(structure_traverse)},
        {Py_tp_hash, reinterpret_cast<void*>(structure_hash)},
        {Py_tp_richcompare, reinterpret_cast<void*>(structure_compare)},
        {Py_tp_repr, reinterpret_cast<void*>(structure_repr)},
        {Py_tp_methods, structure_methods},
        {Py_tp_getset, structure_fields},
        {Py_tp_members, structure_members},
        {0, nullptr},
    };
    PyType_Spec spec = {"fornax._native.PyTreeDef", static_cast<int>(sizeof(Structure)),
                        static_cast<int>(sizeof(Node)),
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                            Py_TPFLAGS_DISALLOW_INSTANTIATION,
                        slots};
    structure_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (structure_type == nullptr) return -1;
  }
  return PyModule_AddObjectRef(module, "PyTreeDef", reinterpret_cast<PyObject*>(structure_type));
}

}  // namespace fornax::pytree
