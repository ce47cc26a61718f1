#include "pool.h"

#include <ATen/Parallel.h>
#include <climits>
#include <cstdlib>
#include <exception>
#include <linux/futex.h>
#include <mutex>
#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace hdas {

namespace {

using Word = std::atomic<uint32_t>;

void sleep_while(Word &w, uint32_t value) { syscall(SYS_futex, &w, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0); }
void wake_all(Word &w) { syscall(SYS_futex, &w, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0); }

// Spins for about 0.1 ms, a little longer than it takes to wake a thread. Returns whether done() became
// true.
template <class F> bool spin(F done) {
  for (int i = 0; i < 3000; ++i) {
    if (done())
      return true;
    __builtin_ia32_pause();
  }
  return false;
}

// Starts a thread that receives no signals, because Go's runtime must handle them.
template <class F> void start(F f) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread(f).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

thread_local int seat = 0; // 0 for the thread that calls parallel; each worker has a number of its own

} // namespace

Turns::Turns(int64_t n, int seats) : parts_(new Part[seats]), seats_(seats) {
  for (int i = 0; i < seats; ++i) {
    parts_[i].next.store(i * n / seats, std::memory_order_relaxed);
    parts_[i].end = (i + 1) * n / seats;
  }
}

bool Turns::take(int64_t &number) {
  for (int i = 0; i < seats_; ++i) {
    Part &p = parts_[(seat + i) % seats_];
    if (p.next.load(std::memory_order_relaxed) < p.end && (number = p.next.fetch_add(1, std::memory_order_relaxed)) < p.end)
      return true;
  }
  return false;
}

bool Turns::left() const {
  for (int i = 0; i < seats_; ++i)
    if (parts_[i].next.load(std::memory_order_relaxed) < parts_[i].end)
      return true;
  return false;
}

void Turns::end() {
  for (int i = 0; i < seats_; ++i)
    parts_[i].next.store(parts_[i].end, std::memory_order_relaxed);
}

class Pool {
public:
  void run(Turns &turns, const std::function<void(Turns &)> &body) {
    for (; workers_ < turns.seats_ - 1; ++workers_)
      start([this, number = workers_ + 1, seen = round_.load()] { serve(number, seen); });
    turns_ = &turns;
    body_ = &body;
    failure_ = nullptr;
    door_.store(open);
    round_.fetch_add(1);
    if (sleepers_.load() > 0)
      wake_all(round_);
    work();
    // Let no more workers in, and wait for those inside.
    uint32_t inside = door_.fetch_and(~open) & ~open;
    auto empty = [&] { return (inside = door_.load()) == 0; };
    while (inside != 0 && !spin(empty) && inside != 0)
      sleep_while(door_, inside);
    if (failure_)
      std::rethrow_exception(failure_);
  }

private:
  static constexpr uint32_t open = 1u << 31;

  Turns *turns_ = nullptr;
  const std::function<void(Turns &)> *body_ = nullptr;
  std::exception_ptr failure_;
  std::mutex failing_;
  int workers_ = 0;
  Word door_{0};  // the number of workers that are inside, and the bit `open` if more may enter
  Word round_{0}; // counts the calls of run
  std::atomic<int> sleepers_{0};

  void work() {
    try {
      (*body_)(*turns_);
    } catch (...) {
      std::lock_guard<std::mutex> lock(failing_);
      if (!failure_)
        failure_ = std::current_exception();
      turns_->end();
    }
  }

  void serve(int number, uint32_t seen) {
    seat = number;
    for (;;) {
      if (!spin([&] { return round_.load() != seen; })) {
        sleepers_.fetch_add(1);
        sleep_while(round_, seen);
        sleepers_.fetch_sub(1);
      }
      if (round_.load() == seen)
        continue;
      seen = round_.load();
      if (!enter())
        continue;
      if (number < turns_->seats_ && turns_->left())
        work();
      if (door_.fetch_sub(1) == 1) // this was the last worker inside, and the door is closed
        wake_all(door_);
    }
  }

  bool enter() {
    uint32_t d = door_.load();
    while (d & open)
      if (door_.compare_exchange_weak(d, d + 1))
        return true;
    return false;
  }
};

// Makes the OpenMP threads of libtorch's operations sleep while they wait. By default they spin, on
// processors that the pool's workers need. Does nothing if the environment says how they should wait.
//
// libgomp spins 300,000 times, some milliseconds, before a thread sleeps, but only 100 times if there are
// more threads than processors (its manual, GOMP_SPINCOUNT). Therefore this function starts that many.
static void patient_openmp() {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT"))
    return;
  start([] {
    static std::atomic<int> started{0};
#pragma omp parallel num_threads(omp_get_num_procs() + 1)
    ++started; // some work, so that the compiler does not remove the threads
    for (;;)
      pause();
  });
}

void parallel(int64_t n, const std::function<void(Turns &)> &body) {
  static std::mutex busy;
  const int seats = int(std::min<int64_t>(n, at::get_num_threads()));
  Turns turns(n, std::max(seats, 1));
  std::unique_lock<std::mutex> alone(busy, std::defer_lock);
  if (seats < 2 || !alone.try_lock()) // one thread is enough, or the call comes from inside a body
    return body(turns);
  static Pool *pool = [] {
    patient_openmp();
    return new Pool; // never freed: its threads live as long as the process
  }();
  pool->run(turns, body);
}

} // namespace hdas
