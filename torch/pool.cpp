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

// Spins for some 0.1 milliseconds, a little longer than waking a thread takes. Whether done() came true.
template <class F> bool spin(F done) {
  for (int i = 0; i < 3000; ++i) {
    if (done())
      return true;
    __builtin_ia32_pause();
  }
  return false;
}

// A thread that no signal is delivered to: they are for Go's.
template <class F> void start(F f) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread(f).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

thread_local int seat = 0; // that of who calls parallel; a worker has a number of its own

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
    // No more may come in; those inside are waited for.
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
  Word door_{0};  // how many workers are inside, and whether more may come
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
      if (door_.fetch_sub(1) == 1) // the last one, and closed
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

// Lets OpenMP's threads, which libtorch's operations run on, sleep rather than spin while they wait, for they
// would do it where a worker is to run; unless the environment says how they are to wait.
//
// libgomp spins 300,000 times, some milliseconds, before a thread sleeps, but only 100 times where
// there are more threads than processors (its manual, GOMP_SPINCOUNT). So there are.
static void patient_openmp() {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT"))
    return;
  start([] {
    static std::atomic<int> started{0};
#pragma omp parallel num_threads(omp_get_num_procs() + 1)
    ++started; // something, that the threads are not left out
    for (;;)
      pause();
  });
}

void parallel(int64_t n, const std::function<void(Turns &)> &body) {
  static std::mutex busy;
  const int seats = int(std::min<int64_t>(n, at::get_num_threads()));
  Turns turns(n, std::max(seats, 1));
  std::unique_lock<std::mutex> alone(busy, std::defer_lock);
  if (seats < 2 || !alone.try_lock()) // one thread, or inside of body
    return body(turns);
  static Pool *pool = [] {
    patient_openmp();
    return new Pool; // its threads outlive everything
  }();
  pool->run(turns, body);
}

} // namespace hdas
