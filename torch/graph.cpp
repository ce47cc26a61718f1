// CUDA graphs: work on a device that is recorded once and then repeated with one launch.
#include "guard.h"
#include "tensors.h"
#include "versions.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <cstddef>
#include <dlfcn.h>
#include <memory>
#include <utility>
#if HDAS_TORCH >= 210
#include <c10/core/CachingDeviceAllocator.h>
#endif

namespace {

using Pool = std::pair<unsigned long long, unsigned long long>; // c10::MempoolId_t

// The functions of at::cuda::CUDAGraph (ATen/cuda/CUDAGraph.h), found by their names in libtorch's library for CUDA:
// that header needs CUDA's, and the program is built without them.
struct Functions {
  void (*construct)(void *, bool); // until 2.2 without the second argument
  void (*destroy)(void *), (*end)(void *), (*replay)(void *);
  void (*begin)(void *, Pool, int);
  Pool (*pool)(void *);

  Functions() {
    find(construct, {"_ZN2at4cuda9CUDAGraphC1Eb", "_ZN2at4cuda9CUDAGraphC1Ev"});
    find(destroy, {"_ZN2at4cuda9CUDAGraphD1Ev"});
    find(begin, {"_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode"});
    find(end, {"_ZN2at4cuda9CUDAGraph11capture_endEv"});
    find(replay, {"_ZN2at4cuda9CUDAGraph6replayEv"});
    find(pool, {"_ZN2at4cuda9CUDAGraph4poolEv"});
  }

private:
  template <class F> static void find(F &f, std::initializer_list<const char *> names) {
    f = nullptr;
    for (const char *name : names)
      if (!f)
        f = reinterpret_cast<F>(dlsym(RTLD_DEFAULT, name));
    TORCH_CHECK(f, "this libtorch has no CUDA graphs (", *names.begin(), ")");
  }
};

const Functions &functions() {
  static const Functions found;
  return found;
}

class Graph {
public:
  Graph(int device, Graph *before) : device(at::kCUDA, at::DeviceIndex(device)), streams(at::kCUDA) {
    const c10::DeviceGuard guard(this->device);
    const Functions &f = functions();
#if HDAS_TORCH >= 210
    at::getDeviceAllocator(at::kCUDA)->emptyCache(); // the recorded work has memory of its own
#endif
    f.construct(object, false);
    // Work cannot be recorded on the default stream.
    was = streams.exchangeStream(streams.getStreamFromGlobalPool(this->device));
    try {
      // A mode of 1, thread local: what other threads do, such as reading images, does not end the recording.
      f.begin(object, before ? f.pool(before->object) : Pool{0, 0}, 1);
    } catch (...) {
      streams.exchangeStream(was);
      f.destroy(object);
      throw;
    }
  }

  ~Graph() {
    const c10::DeviceGuard guard(device);
    if (recording)
      try {
        end();
      } catch (...) { // it is about to be destroyed
      }
    functions().destroy(object);
  }

  void end() {
    const c10::DeviceGuard guard(device);
    recording = false;
    try {
      functions().end(object);
    } catch (...) {
      streams.exchangeStream(was);
      throw;
    }
    streams.exchangeStream(was);
  }

  void replay() {
    const c10::DeviceGuard guard(device);
    functions().replay(object);
  }

private:
  const at::Device device;
  const c10::impl::VirtualGuardImpl streams;
  c10::Stream was{c10::Stream::DEFAULT, device};
  bool recording = true;
  alignas(std::max_align_t) std::byte object[4096]; // an at::cuda::CUDAGraph, which has less than 300 bytes
};

} // namespace

char *hdas_graph_begin(hdas_graph *out, int device, hdas_graph before) {
  return hdas_guard([&] { *out = new Graph(device, static_cast<Graph *>(before)); });
}

char *hdas_graph_end(hdas_graph g) {
  return hdas_guard([&] { static_cast<Graph *>(g)->end(); });
}

char *hdas_graph_replay(hdas_graph g) {
  return hdas_guard([&] { static_cast<Graph *>(g)->replay(); });
}

void hdas_graph_free(hdas_graph g) { delete static_cast<Graph *>(g); }
