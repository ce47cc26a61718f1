// The thread pool of the CPU kernels.
//
// OpenMP is slow if other programs run on the same processors: each thread has a fixed part of the
// work, all threads wait for one that the system has suspended, and they wait spinning, which takes
// the processor from it. In this pool, a thread that has finished its own part takes work from the
// parts of the others, so that no thread waits for a suspended one. Waiting threads sleep after a
// short time.
#ifndef HDAS_POOL_H
#define HDAS_POOL_H

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

namespace hdas {

// Turns hands out the numbers 0..n-1 to threads. Each thread, called a seat, has a part of them.
class Turns {
public:
  Turns(int64_t n, int seats);
  // Sets number to the next number of this thread's part, or of another part if that is finished.
  // Returns false if no number is left.
  bool take(int64_t &number);
  bool left() const; // whether any number is left
  void end();        // takes all remaining numbers away

private:
  friend class Pool;
  struct alignas(64) Part {
    std::atomic<int64_t> next;
    int64_t end;
  };
  std::unique_ptr<Part[]> parts_;
  int seats_;
};

// Calls body on the calling thread and on other threads of the pool, together at most
// at::get_num_threads(), and returns when all calls have returned. body must call take until it
// returns false. An exception of body is rethrown here.
void parallel(int64_t n, const std::function<void(Turns &)> &body);

} // namespace hdas

#endif
