// What functions with a native dispatch share: finding what is known about a call.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "call_key.hpp"
#include "refusal.hpp"

namespace fornax {

// What is known about calls, most recently used first.
class Cache {
 public:
  static constexpr size_t most_entries = 1024;

  struct Item {
    CallKey* key;
    PyObject* entry;
  };
  using Items = std::list<Item>;

  ~Cache() { clear(); }

  size_t size() const { return items_.size(); }
  const Items& items() const { return items_; }

  // The one item most calls want: no hash needed. Null also when static arguments are involved.
  PyObject* newest(const Call& call) const {
    if (items_.empty()) return nullptr;
    const Item& item = items_.front();
    return item.key->statics->empty() && call.same_words(*item.key) ? item.entry : nullptr;
  }

  // New reference to the entry; null when there is none or, with `failed` set, on an error.
  PyObject* find(const Call& call, uint64_t hash, bool& failed) {
  restart:
    uint64_t version = version_;
    for (auto [it, end] = table_.equal_range(hash); it != end; ++it) {
      Items::iterator item = it->second;
      if (!call.same_words(*item->key)) continue;
      Ref key = Ref::borrow(as_object(item->key)), entry = Ref::borrow(item->entry);
      int same = call.same_statics(*reinterpret_cast<CallKey*>(key.get()));
      if (same < 0) {
        failed = true;
        return nullptr;
      }
      if (version != version_) goto restart;  // the comparison ran code that changed the cache
      if (!same) continue;
      items_.splice(items_.begin(), items_, item);
      return entry.release();
    }
    return nullptr;
  }

  void insert(PyObject* key, PyObject* entry) {
    ++version_;
    auto* call_key = reinterpret_cast<CallKey*>(Py_NewRef(key));
    items_.push_front({call_key, Py_NewRef(entry)});
    table_.emplace(call_key->hash, items_.begin());
    if (items_.size() > most_entries) {
      auto oldest = std::prev(items_.end());
      auto [it, end] = table_.equal_range(oldest->key->hash);
      while (it != end && it->second != oldest) ++it;
      table_.erase(it);
      Items evicted;
      evicted.splice(evicted.begin(), items_, oldest);
      drop(evicted);
    }
  }

  void clear() {
    ++version_;
    Items dropped;
    dropped.swap(items_);
    table_.clear();
    drop(dropped);
  }

 private:
  // May run Python code, so it works on items that have left the cache.
  static void drop(Items& items) {
    for (Item& item : items) {
      Py_DECREF(as_object(item.key));
      Py_DECREF(item.entry);
    }
  }

  Items items_;
  std::unordered_multimap<uint64_t, Items::iterator> table_;
  uint64_t version_ = 0;
};

// Calls own vectors whose capacity is worth keeping; nested calls take further ones.
inline std::vector<std::unique_ptr<Call>>& spare_calls() {
  static auto* spare = new std::vector<std::unique_ptr<Call>>();
  return *spare;
}

class BorrowedCall {
 public:
  BorrowedCall() {
    auto& spare = spare_calls();
    if (spare.empty()) {
      call_ = std::make_unique<Call>();
    } else {
      call_ = std::move(spare.back());
      spare.pop_back();
    }
  }
  ~BorrowedCall() {
    call_->clear();
    if (spare_calls().size() < 16) spare_calls().push_back(std::move(call_));
  }
  Call* operator->() { return call_.get(); }
  Call& operator*() { return *call_; }

 private:
  std::unique_ptr<Call> call_;
};

// Fills `statics` from tuples of int and of str (or null); false with TypeError set.
inline bool read_statics(PyObject* positions, PyObject* names, Statics& statics) {
  for (Py_ssize_t i = 0; positions && i < PyTuple_GET_SIZE(positions); ++i) {
    Py_ssize_t position = PyLong_AsSsize_t(PyTuple_GET_ITEM(positions, i));
    if (position == -1 && PyErr_Occurred()) return false;
    statics.positions.push_back(position);
  }
  for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    if (!PyUnicode_Check(name)) {
      bug(PyExc_TypeError, "static_argnames must be str, got %R.", name);
      return false;
    }
    Py_INCREF(name);
    PyUnicode_InternInPlace(&name);
    statics.names.push_back(name);
  }
  return true;
}

inline void delete_statics(Statics* statics) {
  if (statics)
    for (PyObject* name : statics->names) Py_DECREF(name);
  delete statics;
}

}  // namespace fornax
