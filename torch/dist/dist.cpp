#include "dist.h"
#include "../guard.h"
#include "nccl.h"

#include <ATen/ATen.h>
#include <algorithm>
#include <c10/util/Logging.h>
#include <condition_variable>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

using at::Tensor;
using std::chrono::milliseconds;

namespace {

// The connections of a process to the others. Gloo's carry tensors of the CPU; those of a device are copied to it and back,
// but sums of tensors of GPUs go over NCCL, if there is a communicator.
struct Group {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
  std::unique_ptr<Nccl> nccl;
};

Group &group(hdas_group g) { return *static_cast<Group *>(g); }

// While it lives, what libtorch writes to the standard output is dropped: 2.7 and 2.8 write a line about the connections of
// each group there, where results alone belong.
struct Silence {
  std::ostringstream sink;
  std::streambuf *was = std::cout.rdbuf(sink.rdbuf());
  ~Silence() { std::cout.rdbuf(was); }
};

std::string here(int rank) { return "here/" + std::to_string(rank); }

// Waits until all members have written that they are here. The error names those that have not.
void meet(c10d::Store &store, int rank, int world, milliseconds timeout) {
  store.set(here(rank), std::string("1"));
  std::vector<std::string> keys;
  for (int r = 0; r < world; ++r)
    keys.push_back(here(r));
  try {
    store.wait(keys, timeout);
  } catch (const std::exception &) {
    std::string missing;
    for (int r = 0; r < world; ++r)
      if (!store.check({here(r)}))
        missing += (missing.empty() ? "" : ", ") + std::to_string(r);
    if (missing.empty())
      throw;
    throw std::runtime_error("missing ranks: " + missing);
  }
}

// The tensors as one, for each type.
std::map<at::ScalarType, std::vector<Tensor>> by_type(void *const *ts, int n) {
  std::map<at::ScalarType, std::vector<Tensor>> lists;
  for (int i = 0; i < n; ++i) {
    const Tensor t = static_cast<const Tensor *>(ts[i])->detach();
    lists[t.scalar_type()].push_back(t);
  }
  return lists;
}

// Calls f with the elements of all tensors of a type as one tensor, on the CPU unless `there`, and copies them back.
template <class F> void in_buckets(void *const *ts, int n, bool there, F f) {
  for (auto &[type, list] : by_type(ts, n)) {
    std::vector<Tensor> flat;
    for (const Tensor &t : list)
      flat.push_back(t.reshape(-1));
    Tensor bucket = at::cat(flat);
    if (!there || !bucket.is_cuda())
      bucket = bucket.to(at::kCPU);
    std::vector<Tensor> work{bucket};
    f(work);
    bucket = bucket.to(list[0].device());
    std::vector<Tensor> parts;
    int64_t from = 0;
    for (const Tensor &t : list) {
      parts.push_back(bucket.narrow(0, from, t.numel()).view(t.sizes()));
      from += t.numel();
    }
    at::_foreach_copy_(list, parts); // on a GPU some launches instead of one for each tensor
  }
}

// Copies `bytes` bytes of each process to out, in the order of the ranks.
void gather(c10d::ProcessGroupGloo &gloo, const void *data, int64_t bytes, char *out) {
  std::vector<Tensor> in{at::from_blob(const_cast<void *>(data), {bytes}, at::kByte).clone()};
  std::vector<std::vector<Tensor>> all(1);
  for (int r = 0; r < gloo.getSize(); ++r)
    all[0].push_back(at::empty({bytes}, at::kByte));
  gloo.allgather(all, in)->wait();
  for (int r = 0; r < gloo.getSize(); ++r)
    std::memcpy(out + r * bytes, all[0][r].data_ptr(), bytes);
}

// What hdas_dist_join is given.
struct Where {
  int rank, world;
  std::string address, prefix, device;
  c10d::TCPStoreOptions store;
  milliseconds join, collective;
};

std::unique_ptr<Group> join(const Where &w) {
  const auto begin = std::chrono::steady_clock::now();
  auto g = std::make_unique<Group>();
  g->store = c10::make_intrusive<c10d::PrefixStore>(w.prefix, c10::make_intrusive<c10d::TCPStore>(w.address, w.store));
  const auto passed = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
  meet(*g->store, w.rank, w.world, std::max(w.join - passed, milliseconds(1)));
  auto options = c10d::ProcessGroupGloo::Options::create(w.collective);
  options->devices.push_back(w.device.rfind("if:", 0) == 0 ? c10d::ProcessGroupGloo::createDeviceForInterface(w.device.substr(3))
                                                           : c10d::ProcessGroupGloo::createDeviceForHostname(w.device));
  const Silence silence;
  g->gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(g->store, w.rank, w.world, options);
  return g;
}

// What a thread that joins has reached.
struct Joining {
  std::mutex lock;
  std::condition_variable ended;
  bool over = false, abandoned = false;
  std::unique_ptr<Group> group;
  char *error = nullptr;
};

} // namespace

char *hdas_dist_join(hdas_group *out, int rank, int world, const char *address, int port, int serve, int listen, const char *prefix,
                     const char *device, int64_t join_ms, int64_t collective_ms) {
  return hdas_guard([&] {
    if (!std::getenv("TORCH_CPP_LOG_LEVEL"))
      FLAGS_caffe2_log_level = 3; // c10d logs what it also throws, with stacks
    Where w{rank, world, address, prefix, device, {}, milliseconds(join_ms), milliseconds(collective_ms)};
    w.store.port = port;
    w.store.isServer = serve;
    w.store.waitWorkers = false; // meet waits, and knows who is missing
    w.store.timeout = w.join;
    if (serve && listen >= 0)
      w.store.masterListenFd = listen;
    // TCPStore waits without end for the answer of a server that has accepted a connection. Then the thread stays behind.
    auto j = std::make_shared<Joining>();
    std::thread([w, j] {
      std::unique_ptr<Group> g;
      char *error = hdas_guard([&] { g = join(w); });
      std::lock_guard<std::mutex> guard(j->lock);
      j->over = true;
      if (!j->abandoned) {
        j->group = std::move(g);
        j->error = error;
      }
      j->ended.notify_all();
    }).detach();
    std::unique_lock<std::mutex> guard(j->lock);
    if (!j->ended.wait_for(guard, w.join + milliseconds(500), [&] { return j->over; })) {
      j->abandoned = true;
      throw std::runtime_error("no answer");
    }
    if (j->error) {
      const std::string text = j->error;
      std::free(j->error);
      throw std::runtime_error(text);
    }
    *out = j->group.release();
  });
}

void hdas_dist_free(hdas_group g, int abandon) {
  if (abandon && group(g).nccl)
    group(g).nccl->abandon();
  delete &group(g);
}

char *hdas_dist_use(hdas_group g, const char *device, char **why) {
  return hdas_guard([&] {
    Group &all = group(g);
    std::string reason;
    all.nccl = Nccl::join(c10::Device(device), all.gloo->getRank(), all.gloo->getSize(), [&](const std::string &text) {
      const int64_t n = text.size();
      std::string out(n * all.gloo->getSize(), '\0');
      gather(*all.gloo, text.data(), n, &out[0]);
      std::vector<std::string> texts;
      for (size_t at = 0; at < out.size(); at += n)
        texts.push_back(out.substr(at, n));
      return texts;
    }, reason);
    *why = hdas_copy(reason.c_str());
  });
}

char *hdas_dist_all_reduce(hdas_group g, void *const *ts, int n, double weight) {
  return hdas_guard([&] {
    in_buckets(ts, n, group(g).nccl != nullptr, [&](std::vector<Tensor> &bucket) {
      if (weight != 1)
        bucket[0].mul_(weight);
      if (bucket[0].is_cuda())
        group(g).nccl->all_reduce(bucket[0]);
      else if (bucket[0].scalar_type() == at::kBFloat16) { // which the Gloo of libtorch 2.1 does not know
        std::vector<Tensor> wide{bucket[0].to(at::kFloat)};
        group(g).gloo->allreduce(wide)->wait();
        bucket[0].copy_(wide[0]);
      } else
        group(g).gloo->allreduce(bucket)->wait();
    });
  });
}

char *hdas_dist_broadcast(hdas_group g, void *const *ts, int n) {
  return hdas_guard([&] { in_buckets(ts, n, false, [&](std::vector<Tensor> &bucket) { group(g).gloo->broadcast(bucket)->wait(); }); });
}

char *hdas_dist_gather(hdas_group g, const void *data, int64_t bytes, void *out) {
  return hdas_guard([&] { gather(*group(g).gloo, data, bytes, static_cast<char *>(out)); });
}

char *hdas_dist_barrier(hdas_group g) {
  return hdas_guard([&] { group(g).gloo->barrier()->wait(); });
}
