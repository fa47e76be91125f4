// From a tree to its leaves and nodes.
#include "pytree_structure.hpp"
#include "refusal.hpp"

namespace fornax::pytree {

namespace {

// 1 leaf, 0 look inside, -1 error.
int ask(PyObject* is_leaf, PyObject* path, PyObject* object) {
  PyObject* arguments[] = {path, object};
  Ref answer = Ref::steal(path == nullptr ? PyObject_CallOneArg(is_leaf, object)
                                          : PyObject_Vectorcall(is_leaf, arguments, 2, nullptr));
  if (!answer) return -1;
  if (answer.get() == Py_True) return 1;
  if (answer.get() == Py_False) return 0;
  refuse(PyExc_ValueError, "it says whether to stop there",
         "bool(...) around what it returns; `x is None` rather than `x`",
         "is_leaf should return a bool, but it returned %.200R for a %s", answer.get(),
         type_name(Py_TYPE(object)).c_str());
  return -1;
}

struct ReleaseFrom {
  std::vector<PyObject*>& objects;
  std::size_t from;
  ~ReleaseFrom() { release_all(objects, from); }
};

class Flattener {
 public:
  Flattener(const FlattenOptions& options, std::vector<PyObject*>& leaves, NodeList* nodes)
      : options_(options), leaves_(leaves), nodes_(nodes) {}

  bool visit(PyObject* object) {
    if (options_.is_leaf != nullptr) {
      const int answer = ask(options_.is_leaf, nullptr, object);
      if (answer < 0) return false;
      if (answer == 1) return add_leaf(object);
    }
    const Registration* registration = nullptr;
    const Kind kind = classify(object, registration);
    return kind == Kind::leaf ? add_leaf(object) : visit_node(object, kind, registration);
  }

  const std::string& path() const { return path_; }

 private:
  bool visit_node(PyObject* object, Kind kind, const Registration* registration) {
    if (kind == Kind::none) {
      if (options_.none_is_leaf) return add_leaf(object);
      if (nodes_ != nullptr) nodes_->close(kind, 0, nodes_->items().size(), 0);
      return true;
    }
    if (Py_EnterRecursiveCall(" while flattening a pytree")) return false;
    const bool flattened = open(object, kind, registration);
    Py_LeaveRecursiveCall();
    return flattened;
  }

  bool add_leaf(PyObject* object) {
    leaves_.push_back(Py_NewRef(object));
    if (nodes_ != nullptr) nodes_->items().emplace_back();
    return true;
  }

  // Visits an owned child on the stack; a leaf moves on to the leaves with its reference.
  bool visit_child(std::size_t place) {
    std::vector<PyObject*>& children = children_.items();
    PyObject* child = children[place];
    if (options_.is_leaf != nullptr) return visit(child);
    const Registration* registration = nullptr;
    const Kind kind = classify(child, registration);
    if (kind != Kind::leaf) return visit_node(child, kind, registration);
    leaves_.push_back(child);
    children[place] = nullptr;
    if (nodes_ != nullptr) nodes_->items().emplace_back();
    return true;
  }

  bool failed(PyObject* object, Kind kind, const Registration* registration, std::size_t index) {
    extend_error_path(path_, object, kind, registration, index);
    return false;
  }

  bool open(PyObject* object, Kind kind, const Registration* registration) {
    const std::size_t first_node = nodes_ == nullptr ? 0 : nodes_->items().size();
    const std::size_t first_leaf = leaves_.size();
    std::size_t arity = 0;
    Metadata metadata;
    switch (kind) {
      case Kind::tuple:
      case Kind::named_tuple:
        arity = static_cast<std::size_t>(PyTuple_GET_SIZE(object));
        for (std::size_t i = 0; i < arity; ++i)
          if (!visit(PyTuple_GET_ITEM(object, static_cast<Py_ssize_t>(i))))
            return failed(object, kind, registration, i);
        if (kind == Kind::named_tuple && nodes_ != nullptr)
          metadata = hashed(Ref::borrow(as_object(Py_TYPE(object))));
        break;
      case Kind::list:
        // is_leaf and flatten functions may change the list, hence the fresh look at it.
        for (; static_cast<Py_ssize_t>(arity) < PyList_GET_SIZE(object); ++arity) {
          const Ref item = Ref::borrow(PyList_GET_ITEM(object, static_cast<Py_ssize_t>(arity)));
          if (!visit(item.get())) return failed(object, kind, registration, arity);
        }
        break;
      default: {
        const std::size_t first = children_.items().size();
        const ReleaseFrom release{children_.items(), first};
        if (!children_of(object, kind, registration, metadata)) return false;
        arity = children_.items().size() - first;
        for (std::size_t i = 0; i < arity; ++i)
          if (!visit_child(first + i)) return failed(object, kind, registration, i);
      }
    }
    if (nodes_ != nullptr)
      nodes_->close(kind, arity, first_node, leaves_.size() - first_leaf, std::move(metadata),
                    registration);
    return true;
  }

  bool children_of(PyObject* object, Kind kind, const Registration* registration,
                   Metadata& metadata) {
    std::vector<PyObject*>& children = children_.items();
    if (kind == Kind::dict) return sorted_items(object, metadata, children);
    if (kind == Kind::ordered_dict) return ordered_items(object, metadata, children);
    Ref data;
    if (kind == Kind::custom) {
      Ref items;
      if (!call_to_iterable(registration->to_iterable, object, items, data)) return false;
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i)
        children.push_back(Py_NewRef(PyTuple_GET_ITEM(items.get(), i)));
    } else if (kind == Kind::dataclass) {
      if (!dataclass_fields(object, *registration, children, data)) return false;
    } else {
      Level level;
      if (!open_level(object, kind, registration, false, level)) return false;
      data = std::move(level.data);
      children.insert(children.end(), level.children.begin(), level.children.end());
      level.children.clear();
    }
    if (nodes_ != nullptr) metadata = hashed(std::move(data));
    return true;
  }

  const FlattenOptions& options_;
  std::vector<PyObject*>& leaves_;
  NodeList* nodes_;
  ObjectList children_;  // a stack of owned children of the open nodes
  std::string path_;
};

class PathFlattener {
 public:
  PathFlattener(const FlattenOptions& options, std::vector<PyObject*>& leaves,
                std::vector<PyObject*>& paths, NodeList& nodes)
      : options_(options), leaves_(leaves), paths_(paths), nodes_(nodes) {}

  bool visit(PyObject* object) {
    if (options_.is_leaf != nullptr) {
      const Ref path = options_.is_leaf_takes_path ? current_path() : Ref();
      if (options_.is_leaf_takes_path && !path) return false;
      const int answer = ask(options_.is_leaf, path.get(), object);
      if (answer < 0) return false;
      if (answer == 1) return add_leaf(object);
    }
    const Registration* registration = nullptr;
    const Kind kind = classify(object, registration);
    if (kind == Kind::leaf || (kind == Kind::none && options_.none_is_leaf))
      return add_leaf(object);
    if (Py_EnterRecursiveCall(" while flattening a pytree")) return false;
    const bool flattened = open(object, kind, registration);
    Py_LeaveRecursiveCall();
    return flattened;
  }

  const std::string& path() const { return path_; }

 private:
  Ref current_path() const {
    Ref path = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(keys_.size())));
    if (!path) return path;
    for (std::size_t i = 0; i < keys_.size(); ++i)
      PyTuple_SET_ITEM(path.get(), static_cast<Py_ssize_t>(i), Py_NewRef(keys_[i]));
    return path;
  }

  bool add_leaf(PyObject* object) {
    Ref path = current_path();
    if (!path) return false;
    paths_.push_back(path.release());
    leaves_.push_back(Py_NewRef(object));
    nodes_.items().emplace_back();
    return true;
  }

  bool open(PyObject* object, Kind kind, const Registration* registration) {
    const std::size_t first_node = nodes_.items().size();
    const std::size_t first_leaf = leaves_.size();
    Level level;
    if (!open_level(object, kind, registration, true, level)) return false;
    for (std::size_t i = 0; i < level.children.size(); ++i) {
      keys_.push_back(level.keys[i]);
      const bool visited = visit(level.children[i]);
      keys_.pop_back();
      if (!visited) {
        extend_error_path(path_, object, kind, registration, i);
        return false;
      }
    }
    Metadata metadata;
    if (level.data) metadata = hashed(std::move(level.data));
    nodes_.close(kind, level.children.size(), first_node, leaves_.size() - first_leaf,
                 std::move(metadata), registration);
    return true;
  }

  const FlattenOptions& options_;
  std::vector<PyObject*>& leaves_;
  std::vector<PyObject*>& paths_;
  NodeList& nodes_;
  std::vector<PyObject*> keys_;  // borrowed from the open levels
  std::string path_;
};

}  // namespace

bool flatten_tree(PyObject* tree, const FlattenOptions& options, std::vector<PyObject*>& leaves,
                  NodeList* nodes) {
  const std::size_t before = leaves.size();
  Flattener walk(options, leaves, nodes);
  if (walk.visit(tree)) return true;
  locate_error(walk.path());
  release_all(leaves, before);
  return false;
}

bool flatten_with_path(PyObject* tree, const FlattenOptions& options,
                       std::vector<PyObject*>& leaves, std::vector<PyObject*>& paths,
                       NodeList& nodes) {
  PathFlattener walk(options, leaves, paths, nodes);
  if (walk.visit(tree)) return true;
  locate_error(walk.path());
  release_all(leaves, 0);
  release_all(paths, 0);
  return false;
}

void extend_error_path(std::string& path, PyObject* object, Kind kind,
                       const Registration* registration, std::size_t index) {
  if (path.size() > 1000 || PyErr_ExceptionMatches(PyExc_RecursionError)) return;
  PyObject *type = nullptr, *error = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &error, &traceback);
  path.insert(0, path_piece(object, kind, registration, index));
  PyErr_Restore(type, error, traceback);
}

void locate_error(const std::string& path) {
  if (path.empty() || !PyErr_ExceptionMatches(PyExc_Exception)) return;
  PyObject *type = nullptr, *error = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &error, &traceback);
  PyErr_NormalizeException(&type, &error, &traceback);
  // An error that has not passed through any Python frame was raised by this room: its message is
  // ours to complete. A user's error keeps its message and gets a note.
  const bool ours = traceback == nullptr && type == PyExc_ValueError;
  if (ours) {
    std::string message = text_of(error, false);
    message.insert(end_of_what(message), " (at key path " + path + ")");
    Ref arguments = Ref::steal(Py_BuildValue("(s)", message.c_str()));
    if (arguments) PyObject_SetAttrString(error, "args", arguments.get());
  } else {
    Ref note =
        Ref::steal(PyUnicode_FromFormat("This happened at pytree key path %s", path.c_str()));
    if (note) Ref::steal(PyObject_CallMethod(error, "add_note", "O", note.get()));
  }
  PyErr_Clear();
  PyErr_Restore(type, error, traceback);
}

}  // namespace fornax::pytree
