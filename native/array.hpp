// The array object and the reference-counted memory behind it.
#pragma once

#include "aval.hpp"
#include "python.hpp"

namespace fornax {

// Memory, shared by arrays, NumPy views and DLPack capsules. A Python object, so that NumPy can
// hold it as the base of a view and its reference count tells who else looks at the memory.
struct Buffer {
  PyObject_HEAD
  void* data;
  size_t bytes;
  PyObject* keep;           // the ndarray whose memory this is, or null
  void (*release)(void*);   // how to return foreign memory (DLPack), or null
  void* context;
};

struct Array {
  PyObject_HEAD
  Buffer* buffer;  // null once deleted
  Aval* aval;
  PyObject* view;  // cached read-only ndarray, or null
  PyObject* device;
  PyObject* weak_references;
  Array* previous;  // all live arrays form a list
  Array* next;
  uint64_t mark;    // the last program run to which this array was donated
  bool committed;
};

extern PyTypeObject* array_type;
extern PyTypeObject* buffer_type;

inline bool is_array(PyObject* object) { return Py_TYPE(object) == array_type; }
inline Array* as_array(PyObject* object) { return reinterpret_cast<Array*>(object); }

// New reference; memory from the allocator. Null with MemoryError.
Buffer* new_buffer(size_t bytes);

// Raises what `set_out_of_memory_error` was given makes; program: the name of the one that needs
// the memory to work in, null for an array.
void raise_out_of_memory(size_t bytes, PyObject* program);
// New reference over foreign memory; takes over `keep`, `release` and `context`.
Buffer* wrap_buffer(void* data, size_t bytes, PyObject* keep, void (*release)(void*),
                    void* context);
// New reference; steals `buffer` and one reference of `aval`, also when it fails.
PyObject* new_array(Buffer* buffer, Aval* aval);
// New reference; an uninitialised array; steals one reference of `aval`.
PyObject* empty_array(Aval* aval);
// New reference. Shares the ndarray's memory when `share` and its layout allows, else copies.
PyObject* array_from_ndarray(PyArrayObject* source, const DType* dtype, bool weak, bool share);
// New reference; the ndarray in C order, aligned, with elements of `dtype` (maybe `source`).
PyObject* conform_ndarray(PyArrayObject* source, const DType* dtype);
// Borrowed pointer; null with RuntimeError when the array was deleted.
Buffer* live_buffer(Array* array);
// Drops the memory; reading the array afterwards raises.
void delete_array(Array* array);
// True when nobody but this array can see its memory, so that a program may overwrite it.
bool owns_buffer_alone(Array* array);
// New reference to the cached read-only ndarray.
PyObject* numpy_view(Array* array);

extern PyMethodDef array_functions[];
bool register_arrays(PyObject* module);

// exchange.cpp: protocols that hand memory to other libraries.
int get_buffer(PyObject* self, Py_buffer* view, int flags);
void release_buffer(PyObject* self, Py_buffer* view);
PyObject* array_protocol(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names);
PyObject* to_dlpack(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names);
PyObject* dlpack_device(PyObject* self, PyObject*);
PyObject* from_dlpack(PyObject* module, PyObject* object);

}  // namespace fornax
