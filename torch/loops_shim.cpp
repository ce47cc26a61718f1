// Access to the functions of loops.h from Go: the name of the instruction set in use and, only for package
// looptest, calls of any loop in any instruction set.
#include "guard.h"
#include "loops.h"
#include "shim.h"

#include <ATen/Version.h>
#include <stdexcept>
#include <tuple>
#include <type_traits>

namespace hdas {
namespace {

// The arguments of a loop as numbers, in the order of its declaration: a pointer to elements is the index
// of the first element in memory, a Grid is such an index and two strides, a list of offsets is the index
// of its first offset in numbers.
template <class T> struct Arguments {
  const int64_t *numbers, *next;
  T *memory;

  template <class A> A read() {
    if constexpr (std::is_same_v<A, const int64_t *>) {
      return numbers + *next++;
    } else if constexpr (std::is_pointer_v<A>) {
      return memory + *next++;
    } else if constexpr (std::is_class_v<A>) {
      next += 3;
      return A{memory + next[-3], next[-2], next[-1]};
    } else {
      return A(*next++);
    }
  }
};

template <class T, class... A> void call(void (*loop)(A...), Arguments<T> in) {
  std::apply(loop, std::tuple<A...>{in.template read<A>()...}); // braces are evaluated from left to right
}

template <class T> void named(const std::string &set, const std::string &loop, const int64_t *numbers, void *memory) {
  const Loops<T> &f = loops<T>(set);
  const Arguments<T> in{numbers, numbers, static_cast<T *>(memory)};
#define LOOP(name) \
  if (loop == #name) \
    return call(f.name, in)
  LOOP(widen);
  LOOP(narrow);
  LOOP(correlate);
  LOOP(contract);
  LOOP(largest);
  LOOP(route);
  LOOP(multiply);
  LOOP(sum);
  LOOP(spread);
  LOOP(dot);
  LOOP(blend);
  LOOP(slope);
  throw std::invalid_argument("there is no loop " + loop);
}

} // namespace
} // namespace hdas

char *hdas_instruction_set(const char **name) {
  return hdas_guard([&] { *name = hdas::instruction_set(); });
}

char *hdas_libtorch_instruction_set(const char **name) {
  return hdas_guard([&] {
    static const std::string own = at::get_cpu_capability();
    *name = own.c_str();
  });
}

// Calls a loop. Package looptest declares this function itself. `size` is the size of an element, 4 or 8
// bytes.
extern "C" char *hdas_loop(const char *set, const char *loop, int size, const int64_t *numbers, void *memory) {
  return hdas_guard([&] { (size == 4 ? hdas::named<float> : hdas::named<double>)(set, loop, numbers, memory); });
}
// Returns the bytes of a vector of an instruction set, or 0 if this processor does not have it.
extern "C" int hdas_vector(const char *set) {
  try {
    return int(hdas::loops<float>(set).vector * sizeof(float));
  } catch (const std::exception &) {
    return 0;
  }
}
// Returns the names of the instruction sets that this processor supports, separated by ", ". The caller
// frees the text.
extern "C" char *hdas_instruction_sets(void) { return strdup(hdas::instruction_sets().c_str()); }
