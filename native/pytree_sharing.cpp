// How structures come to be: scratch space, hashing of metadata, and sharing of equal ones.
#include "pytree_structure.hpp"
#include "refusal.hpp"

#include <cstring>

namespace fornax::pytree {

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

  void insert(Structure* structure) {
    if (count_ >= buckets_.size()) grow();
    Structure*& head = buckets_[structure->hash & (buckets_.size() - 1)];
    structure->next = head;
    structure->interned = true;
    head = structure;
    ++count_;
  }

  void remove(Structure* structure) {
    Structure** link = &buckets_[structure->hash & (buckets_.size() - 1)];
    while (*link != structure) link = &(*link)->next;
    *link = structure->next;
    structure->interned = false;
    --count_;
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
};

auto* const intern_table = new InternTable;

// Scratch vectors keep their memory between calls; a few, because flatten functions may flatten.
template <class Item>
class Pool {
 public:
  std::vector<Item>* take() {
    if (free_.empty()) return new std::vector<Item>;
    std::vector<Item>* items = free_.back();
    free_.pop_back();
    return items;
  }
  void give_back(std::vector<Item>* items) {
    // One huge tree must not pin its scratch space for ever.
    if (free_.size() < 16 && items->capacity() < (1u << 16)) {
      items->clear();
      free_.push_back(items);
    } else {
      delete items;
    }
  }

 private:
  std::vector<std::vector<Item>*> free_;
};
auto* const node_pool = new Pool<Node>;
auto* const object_pool = new Pool<PyObject*>;

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
bool look_up(const std::vector<Node>& nodes, std::uint64_t hash, bool opaque, PyObject*& found) {
  ObjectList candidates;
  for (Structure* entry = intern_table->first(hash); entry != nullptr; entry = entry->next) {
    if (entry->hash != hash || entry->size() != nodes.size()) continue;
    PyObject* object = reinterpret_cast<PyObject*>(entry);
    if (opaque) {
      candidates.items().push_back(Py_NewRef(object));
    } else if (interchangeable(entry->nodes(), nodes.data(), nodes.size()) == 1) {
      found = Py_NewRef(object);
      return true;
    }
  }
  // An opaque == is user code, which may change the table, so the walk along it is over by now.
  for (PyObject* candidate : candidates.items()) {
    const int equal = interchangeable(as_structure(candidate)->nodes(), nodes.data(), nodes.size());
    if (equal < 0) return false;
    if (equal == 1) {
      found = Py_NewRef(candidate);
      return true;
    }
  }
  return true;
}

}  // namespace

NodeList::NodeList() : items_(node_pool->take()) {}

NodeList::~NodeList() {
  for (Node& node : *items_) Py_XDECREF(std::exchange(node.data, nullptr));
  node_pool->give_back(items_);
}

ObjectList::ObjectList() : items_(object_pool->take()) {}

ObjectList::~ObjectList() {
  release_all(*items_, 0);
  object_pool->give_back(items_);
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
    refuse(PyExc_OverflowError, "", "arrays in place of lists of numbers",
           "a pytree may have at most 2**32 - 1 nodes");
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
    if (!look_up(nodes, hash, exactness == Exactness::opaque, found)) return nullptr;
    if (found != nullptr) return found;
  }
  PyObject* object =
      structure_type->tp_alloc(structure_type, static_cast<Py_ssize_t>(nodes.size()));
  if (object == nullptr) return nullptr;
  Structure* structure = as_structure(object);
  std::memcpy(static_cast<void*>(structure->nodes()), nodes.data(), nodes.size() * sizeof(Node));
  nodes.clear();  // the references moved
  structure->hash = hash;
  if (share) intern_table->insert(structure);
  // Nothing reachable from atomic metadata refers back, so the collector need not walk it.
  if (exactness == Exactness::atomic) {
    bool classes = false;
    for (std::size_t i = 0; i < structure->size(); ++i)
      classes = classes || structure->nodes()[i].kind == Kind::named_tuple;
    if (!classes) PyObject_GC_UnTrack(object);
  }
  return object;
}

void forget(Structure* structure) { intern_table->remove(structure); }

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

}  // namespace fornax::pytree
