// NCCL: sums of tensors of GPUs, from GPU to GPU. libtorch's library for CUDA loads it; its functions are found by their
// names, so that one program runs with and without CUDA.
#ifndef HDAS_DIST_NCCL_H
#define HDAS_DIST_NCCL_H

#include <ATen/ATen.h>
#include <functional>
#include <memory>
#include <string>
#include <vector>

// Returns the texts of all processes, in the order of their ranks. They have the same length.
using Gather = std::function<std::vector<std::string>(const std::string &)>;

// A communicator of processes that have a GPU each.
class Nccl {
public:
  // Returns the communicator of this process for tensors on that device. All processes call it at once. It returns null, in
  // all of them, and why, if one has no NCCL or no GPU of its own.
  static std::unique_ptr<Nccl> join(c10::Device device, int rank, int world, const Gather &gather, std::string &why);
  ~Nccl();
  Nccl(const Nccl &) = delete;
  Nccl &operator=(const Nccl &) = delete;

  // Replaces a contiguous tensor by its sum over the processes, in the order of the current stream of the device.
  void all_reduce(at::Tensor &t);
  // Makes the destructor give up what others have not answered.
  void abandon() { abandoned = true; }

private:
  explicit Nccl(c10::Device d) : device(d) {}
  c10::Device device;
  void *comm = nullptr;
  bool abandoned = false;
};

#endif
