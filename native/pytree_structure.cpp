// The structure object (public name PyTreeDef): storage, sharing, equality, hash, text.
#include "pytree_structure.hpp"

#include <cstring>
#include <structmember.h>

namespace fornax::pytree {

PyTypeObject* structure_type = nullptr;

namespace {

constexpr std::uint64_t golden = 0x9E3779B97F4A7C15;

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * golden;
  return hash ^ (hash >> 31);
}

std::uint64_t hash_nodes(const Node* nodes, std::size_t count) {
  std::uint64_t hash = count;
  for (std::size_t i = 0; i < count; ++i) {
    const Node& node = nodes[i];
    if (node.kind == Kind::leaf) {
      hash = hash * golden + 1;
      continue;
    }
    const std::uint64_t shape =
        static_cast<std::uint64_t>(node.kind) | (std::uint64_t{node.arity} << 8);
    hash = mix(hash, shape ^ (reinterpret_cast<std::uintptr_t>(node.registration) << 16));
    hash = mix(hash, node.data_hash);
  }
  return mix(hash, count);
}

// Chained by Structure::next. Borrows its entries: a structure leaves the table when it dies.
class InternTable {
 public:
  InternTable() : buckets_(1024, nullptr) {}

  Structure* first(std::uint64_t hash) { return buckets_[hash & (buckets_.size() - 1)]; }
  std::uint64_t version() const { return version_; }

  void insert(Structure* structure) {
    if (count_ >= buckets_.size()) grow();
    Structure*& head = buckets_[structure->hash & (buckets_.size() - 1)];
    structure->next = head;
    structure->interned = true;
    head = structure;
    ++count_;
    ++version_;
  }

  void remove(Structure* structure) {
    Structure** link = &buckets_[structure->hash & (buckets_.size() - 1)];
    while (*link != structure) link = &(*link)->next;
    *link = structure->next;
    structure->interned = false;
    --count_;
    ++version_;
  }

 private:
  void grow() {
    std::vector<Structure*> wider(2 * buckets_.size(), nullptr);
    for (Structure* head : buckets_) {
      while (head != nullptr) {
        Structure* next = head->next;
        Structure*& slot = wider[head->hash & (wider.size() - 1)];
        head->next = slot;
        slot = head;
        head = next;
      }
    }
    buckets_.swap(wider);
  }

  std::vector<Structure*> buckets_;
  std::size_t count_ = 0;
  std::uint64_t version_ = 0;
};

InternTable& intern_table() {
  static auto* instance = new InternTable;
  return *instance;
}

std::vector<std::vector<Node>*>& node_pool() {
  static auto* pool = new std::vector<std::vector<Node>*>;
  return *pool;
}

// Equality that a reader could not tell apart: 1, True and 1.0 differ, and so do 0.0 and -0.0.
bool exactly_equal(PyObject* left, PyObject* right) {
  if (left == right) return true;
  PyTypeObject* type = Py_TYPE(left);
  if (type != Py_TYPE(right)) return false;
  if (type == &PyUnicode_Type) return PyUnicode_Compare(left, right) == 0;
  if (type == &PyTuple_Type) {
    if (PyTuple_GET_SIZE(left) != PyTuple_GET_SIZE(right)) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(left); ++i)
      if (!exactly_equal(PyTuple_GET_ITEM(left, i), PyTuple_GET_ITEM(right, i))) return false;
    return true;
  }
  if (type == &PyFloat_Type) {
    const double a = PyFloat_AS_DOUBLE(left), b = PyFloat_AS_DOUBLE(right);
    return a == a && std::memcmp(&a, &b, sizeof a) == 0;
  }
  if (type == &PyLong_Type || type == &PyBytes_Type)
    return PyObject_RichCompareBool(left, right, Py_EQ) == 1;
  return false;
}

bool same_shape(const Node& left, const Node& right) {
  return left.kind == right.kind && left.arity == right.arity &&
         left.registration == right.registration && left.data_hash == right.data_hash;
}

int interchangeable(const Node* left, const Node* right, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const Node &a = left[i], &b = right[i];
    if (!same_shape(a, b) || a.exactness != b.exactness) return 0;
    if (a.data == b.data) continue;
    if (a.data == nullptr || b.data == nullptr) return 0;
    if (a.exactness != Exactness::opaque) {
      if (!exactly_equal(a.data, b.data)) return 0;
    } else if (const int equal = metadata_equal(a, b.data); equal <= 0) {
      return equal;
    }
  }
  return 1;
}

// Sets `found` to a new reference when the table has these nodes. False on an error.
bool look_up(const std::vector<Node>& nodes, std::uint64_t hash, PyObject*& found) {
  InternTable& table = intern_table();
  for (bool restart = true; restart;) {
    restart = false;
    for (Structure* entry = table.first(hash); entry != nullptr; entry = entry->next) {
      if (entry->hash != hash || entry->size() != nodes.size()) continue;
      // Comparing may run user code, which may change the table under our feet.
      const std::uint64_t version = table.version();
      Ref keep = Ref::borrow(reinterpret_cast<PyObject*>(entry));
      const int equal = interchangeable(entry->nodes(), nodes.data(), nodes.size());
      if (equal < 0) return false;
      if (equal == 1) {
        found = keep.release();
        return true;
      }
      if (table.version() != version) {
        restart = true;
        break;
      }
    }
  }
  return true;
}

void structure_dealloc(PyObject* self) {
  Structure* structure = as_structure(self);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (structure->interned) intern_table().remove(structure);
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

NodeList::NodeList() {
  auto& pool = node_pool();
  if (pool.empty()) {
    items_ = new std::vector<Node>;
  } else {
    items_ = pool.back();
    pool.pop_back();
  }
}

NodeList::~NodeList() {
  std::vector<Node>* items = items_;
  for (Node& node : *items) Py_XDECREF(std::exchange(node.data, nullptr));
  items->clear();
  // One huge tree must not pin its scratch space for ever.
  if (node_pool().size() < 8 && items->capacity() < (1u << 16)) {
    node_pool().push_back(items);
  } else {
    delete items;
  }
}

void NodeList::close(Kind kind, std::size_t arity, std::size_t first_node, std::size_t leaf_count,
                     Metadata metadata, const Registration* registration) {
  Node node;
  node.kind = kind;
  node.exactness = metadata.exactness;
  node.arity = static_cast<std::uint32_t>(arity);
  node.leaves = static_cast<std::uint32_t>(leaf_count);
  node.nodes = static_cast<std::uint32_t>(items_->size() - first_node + 1);
  node.data = metadata.object.release();
  node.registration = registration;
  node.data_hash = metadata.hash;
  items_->push_back(node);
}

std::size_t NodeList::leaves_since(std::size_t first_node) const {
  std::size_t count = 0;
  for (std::size_t end = items_->size(); end > first_node; end -= (*items_)[end - 1].nodes)
    count += (*items_)[end - 1].leaves;
  return count;
}

Metadata hashed(Ref object) {
  Metadata metadata;
  metadata.hash = data_hash(object.get(), metadata.exactness);
  metadata.object = std::move(object);
  return metadata;
}

std::uint64_t data_hash(PyObject* data, Exactness& exactness) {
  exactness = Exactness::atomic;
  PyTypeObject* type = Py_TYPE(data);
  if (type == &PyTuple_Type) {
    std::uint64_t hash = 7;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(data); ++i) {
      Exactness item = Exactness::atomic;
      hash = mix(hash, data_hash(PyTuple_GET_ITEM(data, i), item));
      if (item > exactness) exactness = item;
    }
    return hash;
  }
  if (data == Py_None) return 3;
  if (type == &PyType_Type || type == &PyFunction_Type) {
    exactness = Exactness::exact;
    return reinterpret_cast<std::uintptr_t>(data);
  }
  const bool plain = type == &PyUnicode_Type || type == &PyLong_Type || type == &PyBool_Type ||
                     type == &PyFloat_Type || type == &PyBytes_Type;
  if (!plain) exactness = Exactness::opaque;
  // Equal objects must hash alike. Numbers and strings of other libraries equal ours, so C types
  // are asked too; a class written in Python need not be hashable, and its __hash__ may be slow,
  // so there equality decides alone.
  const bool quick = !PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) || PyUnicode_Check(data) ||
                     PyLong_Check(data) || PyFloat_Check(data);
  if (quick) {
    const Py_hash_t hash = PyObject_Hash(data);
    if (hash != -1) return static_cast<std::uint64_t>(hash);
    PyErr_Clear();
  }
  return 5;
}

PyObject* make_structure(NodeList& list, Intern intern) {
  std::vector<Node>& nodes = list.items();
  if (nodes.size() > UINT32_MAX) {
    PyErr_SetString(PyExc_OverflowError, "a pytree may have at most 2**32 - 1 nodes");
    return nullptr;
  }
  Exactness exactness = Exactness::atomic;
  for (const Node& node : nodes)
    if (node.exactness > exactness) exactness = node.exactness;
  const std::uint64_t hash = hash_nodes(nodes.data(), nodes.size());
  // An opaque == may call two objects equal that a caller can tell apart, so a plain flatten,
  // whose result is used to rebuild the tree, keeps the objects it saw.
  const bool share = intern == Intern::always || exactness != Exactness::opaque;
  if (share) {
    PyObject* found = nullptr;
    if (!look_up(nodes, hash, found)) return nullptr;
    if (found != nullptr) return found;
  }
  PyObject* object =
      structure_type->tp_alloc(structure_type, static_cast<Py_ssize_t>(nodes.size()));
  if (object == nullptr) return nullptr;
  Structure* structure = as_structure(object);
  std::memcpy(static_cast<void*>(structure->nodes()), nodes.data(), nodes.size() * sizeof(Node));
  nodes.clear();  // the references moved
  structure->hash = hash;
  if (share) intern_table().insert(structure);
  // Nothing reachable from atomic metadata refers back, so the collector need not walk it.
  if (exactness == Exactness::atomic) {
    bool classes = false;
    for (std::size_t i = 0; i < structure->size(); ++i)
      classes = classes || structure->nodes()[i].kind == Kind::named_tuple;
    if (!classes) PyObject_GC_UnTrack(object);
  }
  return object;
}

// 1 equal, 0 different, -1 error: the metadata's own ==, with a message that names the node type.
int metadata_equal(const Node& node, PyObject* other) {
  if (node.data == other) return 1;
  if (node.data == nullptr || other == nullptr) return 0;
  const int equal = PyObject_RichCompareBool(node.data, other, Py_EQ);
  if (equal >= 0 || !PyErr_ExceptionMatches(PyExc_Exception)) return equal;
  PyObject *type = nullptr, *cause = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &cause, &traceback);
  PyErr_NormalizeException(&type, &cause, &traceback);
  PyErr_Format(PyExc_ValueError,
               "comparing the metadata of two pytree nodes of type %s failed (%s: %s). Metadata is "
               "part of the tree structure and has to be hashable with an == that gives one truth "
               "value; arrays belong among the children.",
               type_name(node_type(node)).c_str(), type_name(Py_TYPE(cause)).c_str(),
               text_of(cause, false).c_str());
  PyObject *new_type = nullptr, *error = nullptr, *new_traceback = nullptr;
  PyErr_Fetch(&new_type, &error, &new_traceback);
  PyErr_NormalizeException(&new_type, &error, &new_traceback);
  PyException_SetCause(error, cause);
  PyErr_Restore(new_type, error, new_traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
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

void release_all(std::vector<PyObject*>& objects, std::size_t from) {
  while (objects.size() > from) {
    PyObject* object = objects.back();
    objects.pop_back();
    Py_XDECREF(object);
  }
}

PyObject* list_from(std::vector<PyObject*>& objects) {
  PyObject* list = PyList_New(static_cast<Py_ssize_t>(objects.size()));
  if (list == nullptr) return nullptr;
  for (std::size_t i = 0; i < objects.size(); ++i)
    PyList_SET_ITEM(list, static_cast<Py_ssize_t>(i), objects[i]);
  objects.clear();
  return list;
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
