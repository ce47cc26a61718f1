// The threads that kernels share their work among.
//
// Beside other work on the same processors OpenMP's are slow: each thread has its fixed part, all
// wait for the one that has been put aside, and they wait spinning, which takes the processor from
// it. Here a thread takes what is left of others' parts when it is done with its own, so that
// nobody waits for one that is not running, and after a short while it sleeps.
#ifndef HDAS_POOL_H
#define HDAS_POOL_H

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

namespace hdas {

// The numbers from 0 to n-1, a part of them for each seat.
class Turns {
public:
  Turns(int64_t n, int seats);
  // The next number of this seat's part or, when that is done, of another's; false at the end.
  bool take(int64_t &number);
  bool left() const;
  void end(); // nobody takes any more

private:
  friend class Pool;
  struct alignas(64) Part {
    std::atomic<int64_t> next;
    int64_t end;
  };
  std::unique_ptr<Part[]> parts_;
  int seats_;
};

// Calls body on the calling thread and at most libtorch's number of threads less one others, and
// returns when all of them are done. Each has to take turns until there are none. What one of them
// throws is thrown here.
void parallel(int64_t n, const std::function<void(Turns &)> &body);

} // namespace hdas

#endif
