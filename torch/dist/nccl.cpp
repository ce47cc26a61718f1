#include "nccl.h"

#include <algorithm>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <set>
#include <unistd.h>

namespace {

struct UniqueId {
  char bytes[128];
};

// The functions of nccl.h, and others of CUDA's libraries. The codes are those of NCCL 2.
struct Functions {
  int (*unique_id)(UniqueId *);
  int (*init)(void **comm, int world, UniqueId, int rank);
  int (*all_reduce)(const void *send, void *receive, size_t count, int type, int op, void *comm, void *stream);
  int (*async_error)(void *comm, int *result);
  int (*destroy)(void *comm), (*abort)(void *comm);
  const char *(*text)(int result);
  int (*bus)(char *id, int length, int device);
  void *(*stream)(const c10::Stream *); // CUDAStream holds nothing but a Stream
  bool all = true;

  Functions() {
    find(unique_id, "ncclGetUniqueId");
    find(init, "ncclCommInitRank");
    find(all_reduce, "ncclAllReduce");
    find(async_error, "ncclCommGetAsyncError");
    find(destroy, "ncclCommDestroy");
    find(abort, "ncclCommAbort");
    find(text, "ncclGetErrorString");
    find(bus, "cudaDeviceGetPCIBusId");
    find(stream, "_ZNK3c104cuda10CUDAStream6streamEv");
  }

private:
  template <class F> void find(F &f, const char *name) {
    f = reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
    all = all && f;
  }
};

const Functions &functions() {
  static const Functions found;
  return found;
}

constexpr int sum = 0;

int type_of(at::ScalarType t) {
  switch (t) {
  case at::kChar:
    return 0;
  case at::kByte:
    return 1;
  case at::kInt:
    return 2;
  case at::kLong:
    return 4;
  case at::kHalf:
    return 6;
  case at::kFloat:
    return 7;
  case at::kDouble:
    return 8;
  case at::kBFloat16:
    return 9;
  default:
    TORCH_CHECK(false, "NCCL does not sum tensors of type ", t);
  }
}

void check(int result, const char *doing) {
  TORCH_CHECK(result == 0, "NCCL, ", doing, ": ", functions().text(result), "; NCCL_DEBUG=INFO tells more");
}

// Returns the GPU of a process as a text that no other GPU has; empty if it cannot be used.
std::string gpu(c10::Device device) {
  if (!device.is_cuda() || !functions().all)
    return "";
  char host[256] = "", bus[64] = "";
  gethostname(host, sizeof host - 1);
  if (functions().bus(bus, sizeof bus, device.index()) != 0)
    return "";
  return std::string(host) + " " + bus;
}

} // namespace

std::unique_ptr<Nccl> Nccl::join(c10::Device device, int rank, int world, const Gather &gather, std::string &why) {
  std::string own = gpu(device);
  own.resize(320);
  std::set<std::string> gpus;
  for (const std::string &there : gather(own))
    if (there[0] == '\0')
      why = "a process has no NCCL or no GPU";
    else if (!gpus.insert(there).second)
      why = "processes share a GPU";
  if (!why.empty())
    return nullptr;
  const c10::DeviceGuard guard(device);
  std::unique_ptr<Nccl> n(new Nccl(device));
  std::string id(sizeof(UniqueId), '\0');
  if (rank == 0)
    check(functions().unique_id(reinterpret_cast<UniqueId *>(&id[0])), "the first process");
  id = gather(id)[0];
  UniqueId same;
  std::copy(id.begin(), id.end(), same.bytes);
  check(functions().init(&n->comm, world, same, rank), "joining the other processes");
  return n;
}

Nccl::~Nccl() {
  if (comm)
    (abandoned ? functions().abort : functions().destroy)(comm);
}

void Nccl::all_reduce(at::Tensor &t) {
  TORCH_CHECK(t.device() == device && t.is_contiguous(), "the processes reduce tensors on ", device, ", not on ", t.device());
  int failed = 0;
  check(functions().async_error(comm, &failed), "its state");
  check(failed, "the sum before");
  const c10::DeviceGuard guard(device);
  const c10::Stream stream = c10::impl::VirtualGuardImpl(at::kCUDA).getStream(device);
  check(functions().all_reduce(t.data_ptr(), t.data_ptr(), t.numel(), type_of(t.scalar_type()), sum, comm, functions().stream(&stream)), "a sum");
}
