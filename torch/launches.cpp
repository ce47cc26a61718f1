// Counts the operations that a GPU would be given: those that libtorch's dispatcher runs, without those that
// only make views of a tensor, allocate, or call others.
#define NDEBUG // as libtorch: without it, RecordFunction has a member more
#include "guard.h"
#include "shim.h"

#include <ATen/record_function.h>
#include <algorithm>
#include <map>
#include <mutex>
#include <sstream>
#include <torch/torch.h>

namespace {

std::mutex lock; // of counts; autograd has threads of its own
std::map<std::string, int64_t> counts;
at::CallbackHandle callback = 0;

// An operation that has begun and not ended.
struct Call : at::ObserverContext {
  bool list;         // one of libtorch's _foreach_ operations
  int64_t tensors;   // tensors of such a list
  int64_t lists;
  bool none;         // it launches nothing itself
};

// For each operation that has begun on this thread, whether operations inside it launched something.
thread_local std::vector<bool> launched;
thread_local int inside = 0; // lists that have begun on this thread; on the CPU they are loops over tensors

bool starts(const std::string &name, const char *with) { return name.rfind(with, 0) == 0; }

// Whether an operation launches nothing unless it calls others: it returns its argument or a view of it, or only allocates.
bool nothing(const at::RecordFunction &f) {
  const std::string name = f.name();
  for (const char *prefix : {"aten::empty", "aten::new_empty", "aten::resize_", "aten::result_type", "aten::is_", "aten::_nnpack_available",
                             "aten::as_strided_", "aten::detach_", "aten::squeeze_", "aten::unsqueeze_", "aten::transpose_", "aten::t_"})
    if (starts(name, prefix))
      return true;
  const auto schema = f.operator_schema();
  if (!schema || schema->returns().empty())
    return !schema;
  for (const auto &r : schema->returns())
    if (!r.alias_info() || r.alias_info()->isWrite())
      return false;
  return true;
}

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction &f) {
  auto call = std::make_unique<Call>();
  call->list = starts(f.name(), "aten::_foreach_");
  call->tensors = call->lists = 0;
  call->none = !call->list && nothing(f);
  if (call->list) {
    for (const c10::IValue &v : f.inputs())
      if (v.isTensorList()) {
        call->tensors = int64_t(v.toTensorList().size());
        ++call->lists;
      }
    ++inside;
  }
  launched.push_back(false);
  return call;
}

// libtorch's kernels on lists take so many tensors at once, for 1, 2, ... lists (MultiTensorApply.cuh).
constexpr int64_t at_once[] = {110, 64, 48, 36, 30};

void end(const at::RecordFunction &f, at::ObserverContext *context) {
  auto &call = *static_cast<Call *>(context);
  bool some = launched.back();
  launched.pop_back();
  if (call.list)
    --inside;
  if (inside == 0 && !some && !call.none) {
    some = true;
    int64_t n = 1;
    if (call.list) {
      const int64_t most = at_once[std::min<int64_t>(std::max<int64_t>(call.lists, 1), 5) - 1];
      n = (call.tensors + most - 1) / most;
    }
    std::lock_guard<std::mutex> guard(lock);
    counts[f.name()] += n;
  }
  if (some && !launched.empty())
    launched.back() = true;
}

} // namespace

char *hdas_count_launches(void) {
  return hdas_guard([] {
    TORCH_CHECK(callback == 0, "launches are being counted already");
    counts.clear();
    callback = at::addGlobalCallback(at::RecordFunctionCallback(begin, end).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  });
}

char *hdas_counted_launches(char **out) {
  return hdas_guard([&] {
    at::removeCallback(callback);
    callback = 0;
    std::ostringstream text;
    std::lock_guard<std::mutex> guard(lock);
    for (const auto &[name, n] : counts)
      text << name << ' ' << n << '\n';
    *out = hdas_copy(text.str().c_str());
  });
}
