// A stand-in for NCCL on the simulated device: the processes of a host sum by shared memory. It shows that the calls fit
// together, and nothing of NCCL's speed, order of sums or failures.
#include <ATen/ATen.h>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace {

constexpr size_t slot = 1 << 20; // bytes of a process in the shared memory
constexpr int most = 64;         // processes

struct Shared {
  std::atomic<int> arrived, round; // zero when the memory is new
  alignas(64) char data[most * slot];
};

struct Communicator {
  int rank, world;
  Shared *shared;

  // Returns when all processes have called it.
  void meet() {
    const int round = shared->round.load();
    if (shared->arrived.fetch_add(1) + 1 == world) {
      shared->arrived = 0;
      shared->round.fetch_add(1);
    } else {
      while (shared->round.load() == round)
        usleep(20);
    }
  }
};

at::ScalarType type_of(int code) {
  constexpr at::ScalarType types[] = {at::kChar, at::kByte, at::kInt, at::kInt, at::kLong, at::kLong, at::kHalf, at::kFloat, at::kDouble, at::kBFloat16};
  return types[code];
}

} // namespace

namespace c10::cuda {

struct CUDAStream {
  void *stream() const;
};
void *CUDAStream::stream() const { return nullptr; }

} // namespace c10::cuda

extern "C" {

struct UniqueId {
  char name[128];
};

int cudaDeviceGetPCIBusId(char *id, int length, int device) {
  snprintf(id, length, "simulated:%d", device);
  return 0;
}

int ncclGetUniqueId(UniqueId *id) {
  snprintf(id->name, sizeof id->name, "/hdas-nccl-%d", getpid());
  return 0;
}

int ncclCommInitRank(void **out, int world, UniqueId id, int rank) {
  const int file = shm_open(id.name, O_CREAT | O_RDWR, 0600);
  if (file < 0 || world > most || ftruncate(file, sizeof(Shared)) != 0)
    return 2;
  void *memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED)
    return 2;
  auto *c = new Communicator{rank, world, static_cast<Shared *>(memory)};
  c->meet();
  if (rank == 0)
    shm_unlink(id.name);
  *out = c;
  return 0;
}

int ncclAllReduce(const void *send, void *receive, size_t count, int type, int op, void *comm, void *) {
  if (op != 0)
    return 4;
  auto &c = *static_cast<Communicator *>(comm);
  const size_t size = at::elementSize(type_of(type));
  for (size_t from = 0; from < count; from += slot / size) {
    const size_t n = std::min(count - from, slot / size);
    std::memcpy(c.shared->data + c.rank * slot, static_cast<const char *>(send) + from * size, n * size);
    c.meet();
    at::Tensor sum = at::zeros({int64_t(n)}, type_of(type));
    for (int rank = 0; rank < c.world; ++rank)
      sum += at::from_blob(c.shared->data + rank * slot, {int64_t(n)}, type_of(type));
    std::memcpy(static_cast<char *>(receive) + from * size, sum.data_ptr(), n * size);
    c.meet();
  }
  return 0;
}

int ncclCommGetAsyncError(void *, int *result) {
  *result = 0;
  return 0;
}

int ncclCommDestroy(void *comm) {
  auto *c = static_cast<Communicator *>(comm);
  munmap(c->shared, sizeof(Shared));
  delete c;
  return 0;
}

int ncclCommAbort(void *comm) { return ncclCommDestroy(comm); }

const char *ncclGetErrorString(int) { return "simulated error"; }
}
