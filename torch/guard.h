// hdas_guard runs f and returns NULL, or, if f throws, the error text. The caller frees the text.
// Exceptions must not reach Go.
#ifndef HDAS_GUARD_H
#define HDAS_GUARD_H

#include <atomic>
#include <c10/util/Exception.h>
#include <cstdlib>
#include <cstring>
#include <exception>

// Returns a copy of an error text. If there is no memory for it, it returns a text that was allocated
// before: NULL would mean that nothing has failed.
inline char *hdas_copy(const char *text) {
  static std::atomic<char *> reserve{strdup("std::bad_alloc")};
  if (char *copy = strdup(text))
    return copy;
  if (char *last = reserve.exchange(nullptr))
    return last;
  std::abort();
}

template <class F> char *hdas_guard(F f) {
  try {
    f();
    return nullptr;
  } catch (const c10::Error &e) { // without the C++ stack that what() adds
    return hdas_copy(e.what_without_backtrace());
  } catch (const std::exception &e) {
    return hdas_copy(e.what());
  } catch (...) {
    return hdas_copy("unknown C++ exception");
  }
}

#endif
