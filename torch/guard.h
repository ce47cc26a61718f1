// hdas_guard runs f and returns NULL, or, if f throws, the error text. The caller frees the text.
// Exceptions must not reach Go.
#ifndef HDAS_GUARD_H
#define HDAS_GUARD_H

#include <c10/util/Exception.h>
#include <cstring>
#include <exception>

template <class F> char *hdas_guard(F f) {
  try {
    f();
    return nullptr;
  } catch (const c10::Error &e) { // without the C++ stack that what() adds
    return strdup(e.what_without_backtrace());
  } catch (const std::exception &e) {
    return strdup(e.what());
  } catch (...) {
    return strdup("unknown C++ exception");
  }
}

#endif
