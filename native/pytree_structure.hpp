// What the pytree source files share: node kinds, registrations, the structure object.
#pragma once

#include "pytree.hpp"
#include "python.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace fornax::pytree {

enum class Kind : std::uint8_t {
  leaf,
  none,
  tuple,
  list,
  dict,
  named_tuple,
  ordered_dict,
  default_dict,
  custom,
  dataclass,
  constant,  // register_static: no children, the object is its own metadata
};

// How two metadata objects may be compared, and what they can keep alive.
enum class Exactness : std::uint8_t {
  atomic,  // numbers, strings and tuples of them: compared by type and value, never in a cycle
  exact,   // also classes and functions: compared by identity
  opaque,  // anything else: the object's own ==
};

// A registered node type. Never freed, because nodes point at it.
struct Registration {
  Kind kind;
  PyTypeObject* type;
  PyObject* to_iterable = nullptr;
  PyObject* from_iterable = nullptr;
  PyObject* to_iterable_with_keys = nullptr;
  PyObject* data_fields = nullptr;  // tuples of str, for dataclass
  PyObject* meta_fields = nullptr;
  PyObject* all_fields = nullptr;
};

// One node of a structure. Structures store their nodes in post-order: children before parents.
struct Node {
  Kind kind = Kind::leaf;
  Exactness exactness = Exactness::atomic;
  std::uint32_t arity = 0;
  std::uint32_t leaves = 1;  // of the subtree
  std::uint32_t nodes = 1;   // of the subtree, this one included
  PyObject* data = nullptr;  // owned metadata, see node_metadata in pytree_structure.cpp
  const Registration* registration = nullptr;
  std::uint64_t data_hash = 0;
};

// Equal but for the metadata objects themselves.
inline bool same_shape(const Node& left, const Node& right) {
  return left.kind == right.kind && left.arity == right.arity &&
         left.registration == right.registration && left.data_hash == right.data_hash;
}

struct Structure {
  PyObject_VAR_HEAD PyObject* weak_references;
  std::uint64_t hash;
  Structure* next;  // chain of the intern table
  bool interned;

  Node* nodes() {
    return reinterpret_cast<Node*>(reinterpret_cast<char*>(this) + sizeof(Structure));
  }
  const Node* nodes() const {
    return reinterpret_cast<const Node*>(reinterpret_cast<const char*>(this) + sizeof(Structure));
  }
  std::size_t size() const { return static_cast<std::size_t>(Py_SIZE(this)); }
  const Node& root() const { return nodes()[size() - 1]; }
};
static_assert(sizeof(Structure) % alignof(Node) == 0);

extern PyTypeObject* structure_type;
inline Structure* as_structure(PyObject* object) { return reinterpret_cast<Structure*>(object); }

// A node's metadata with what was found out about it.
struct Metadata {
  Ref object;
  std::uint64_t hash = 0;
  Exactness exactness = Exactness::atomic;
};

// A list of nodes under construction; owns the metadata references of its nodes.
class NodeList {
 public:
  NodeList();
  ~NodeList();
  NodeList(const NodeList&) = delete;
  NodeList& operator=(const NodeList&) = delete;

  std::vector<Node>& items() { return *items_; }
  void push_copy(const Node& node) {
    Py_XINCREF(node.data);
    items_->push_back(node);
  }
  // Appends the parent of the `arity` subtrees that were pushed from `first_node` on.
  void close(Kind kind, std::size_t arity, std::size_t first_node, std::size_t leaf_count,
             Metadata metadata = {}, const Registration* registration = nullptr);
  std::size_t leaves_since(std::size_t first_node) const;

 private:
  std::vector<Node>* items_;
};

// A list of owned references that reuses its memory; what is still in it at the end is released.
class ObjectList {
 public:
  ObjectList();
  ~ObjectList();
  ObjectList(const ObjectList&) = delete;
  ObjectList& operator=(const ObjectList&) = delete;

  std::vector<PyObject*>& items() { return *items_; }

 private:
  std::vector<PyObject*>* items_;
};

enum class Intern : std::uint8_t {
  exact,   // share when nothing but identity, type and value was needed to see equality
  always,  // share whenever the metadata compare equal
};

// pytree_registry.cpp
int initialise_registry();
// The kind of the instances of a class; `registration` is set for the three registered kinds.
Kind classify_type(PyTypeObject* type, const Registration*& registration);
inline Kind classify(PyObject* object, const Registration*& registration) {
  PyTypeObject* type = Py_TYPE(object);
  registration = nullptr;
  if (type == &PyTuple_Type) return Kind::tuple;
  if (type == &PyDict_Type) return Kind::dict;
  if (type == &PyList_Type) return Kind::list;
  if (object == Py_None) return Kind::none;
  return classify_type(type, registration);
}
bool add_registration(std::unique_ptr<Registration> registration);
extern PyTypeObject* default_dict_type;
extern PyObject* fields_name;  // "_fields"

// pytree_children.cpp
// The keys of a dict as a tuple, its values in that order appended to `values` as owned references.
bool sorted_items(PyObject* dict, Metadata& keys, std::vector<PyObject*>& values);
bool ordered_items(PyObject* dict, Metadata& keys, std::vector<PyObject*>& values);
// Calls to_iterable (or to_iterable_with_keys) and checks the (children, metadata) pair.
bool call_to_iterable(PyObject* function, PyObject* object, Ref& children, Ref& metadata);
bool dataclass_fields(PyObject* object, const Registration& registration,
                      std::vector<PyObject*>& values, Ref& metadata);
// One level of a node: owned children, their keys when wanted, and the node's metadata.
struct Level {
  ~Level();
  std::vector<PyObject*> children;
  std::vector<PyObject*> keys;
  Ref data;
};
bool open_level(PyObject* object, Kind kind, const Registration* registration, bool want_keys,
                Level& level);
int set_key_types(PyObject* sequence, PyObject* dict, PyObject* attribute, PyObject* flattened);
std::string path_piece(PyObject* object, Kind kind, const Registration* registration,
                       std::size_t index);

// pytree_sharing.cpp
std::uint64_t data_hash(PyObject* data, Exactness& exactness);
Metadata hashed(Ref object);
// New reference to the structure with these nodes (moved from `list`), shared where allowed.
PyObject* make_structure(NodeList& list, Intern intern);
void forget(Structure* structure);  // when a shared structure dies
void release_all(std::vector<PyObject*>& objects, std::size_t from);
PyObject* list_from(std::vector<PyObject*>& objects);  // takes over the references

// pytree_structure.cpp
int initialise_structure(PyObject* module);
// 1 equal, 0 different, -1 error: the metadata's own ==, with a message that names the node type.
int metadata_equal(const Node& node, PyObject* other);
Ref node_metadata(const Node& node);  // what the public node_data() shows
PyTypeObject* node_type(const Node& node);
int structures_equal(const Structure& left, const Structure& right);
std::string type_name(PyTypeObject* type);
std::string text_of(PyObject* object, bool represent);  // clears errors of the object's repr

// pytree_methods.cpp
extern PyMethodDef structure_methods[];
// Appends the parent of the subtrees pushed from `first_node` on, from its public description.
bool close_described(NodeList& list, PyObject* type, PyObject* data, std::size_t arity,
                     std::size_t first_node);

// pytree_rebuild.cpp
// The tree with these leaves, which are taken over when `owned`. ValueError for a wrong count.
PyObject* rebuild(const Structure& structure, PyObject** leaves, std::size_t count, bool owned);
PyObject* rebuild_from(const Structure& structure, PyObject* leaves);  // any iterable
PyObject* build_node(const Node& node, PyObject** children);           // steals the children
bool flatten_up_to(const Structure& structure, PyObject* tree, std::vector<PyObject*>& out);

// pytree_flatten.cpp
struct FlattenOptions {
  PyObject* is_leaf = nullptr;  // borrowed, called with (node) or (path, node)
  bool none_is_leaf = false;
  bool is_leaf_takes_path = false;
};
bool flatten_tree(PyObject* tree, const FlattenOptions& options, std::vector<PyObject*>& leaves,
                  NodeList* nodes);
bool flatten_with_path(PyObject* tree, const FlattenOptions& options,
                       std::vector<PyObject*>& leaves, std::vector<PyObject*>& paths,
                       NodeList& nodes);
// On the way out of a failed walk: puts the key of child `index` in front of `path`, ...
void extend_error_path(std::string& path, PyObject* object, Kind kind,
                       const Registration* registration, std::size_t index);
// ... and adds the finished path to the exception that is set.
void locate_error(const std::string& path);

}  // namespace fornax::pytree
