// The functions of loops.h for any x86-64 processor, and the choice of the instruction set.
#define ISA plain
#define BYTES 16
#define REGISTERS 16
#include "loops_impl.h"

#include <cstdlib>
#include <stdexcept>

namespace hdas {

namespace avx512 {
template <class T> const Loops<T> &table();
}
namespace avx2 {
template <class T> const Loops<T> &table();
}

namespace {

struct Set {
  const char *name;
  bool there; // this processor supports it
  const Loops<float> &(*singles)();
  const Loops<double> &(*doubles)();
};

// All instruction sets, the fastest first.
const Set (&sets())[3] {
  static const Set all[] = {
      {"avx512", __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"), avx512::table<float>, avx512::table<double>},
      {"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), avx2::table<float>, avx2::table<double>},
      {"plain", true, plain::table<float>, plain::table<double>},
  };
  return all;
}

const Set &find(const std::string &name) {
  for (const Set &s : sets())
    if (name == s.name) {
      if (!s.there)
        throw std::invalid_argument("instruction set " + name + " is not one that this processor has; it has " + instruction_sets());
      return s;
    }
  throw std::invalid_argument("instruction set \"" + name + "\" is unknown; this processor has " + instruction_sets());
}

const Set &chosen() {
  static const Set &set = [&]() -> const Set & {
    const char *forced = std::getenv("HDAS_TEST_ISA");
    if (forced)
      try {
        return find(forced);
      } catch (const std::invalid_argument &e) {
        throw std::invalid_argument(std::string("HDAS_TEST_ISA: ") + e.what());
      }
    for (const Set &s : sets())
      if (s.there)
        return s;
    throw std::logic_error("no instruction set"); // cannot happen: plain is always supported
  }();
  return set;
}

} // namespace

std::string instruction_sets() {
  std::string names;
  for (const Set &s : sets())
    if (s.there)
      names += (names.empty() ? "" : ", ") + std::string(s.name);
  return names;
}

const char *instruction_set() { return chosen().name; }

template <> const Loops<float> &loops(const std::string &set) { return find(set).singles(); }
template <> const Loops<double> &loops(const std::string &set) { return find(set).doubles(); }

template <> const Loops<float> &loops() {
  static const Loops<float> &table = chosen().singles();
  return table;
}
template <> const Loops<double> &loops() {
  static const Loops<double> &table = chosen().doubles();
  return table;
}

} // namespace hdas
