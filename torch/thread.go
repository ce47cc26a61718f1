package torch

// #include "shim.h"
import "C"

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
)

// libtorch keeps its last error, its gradient mode and its OpenMP thread pool per OS thread, but Go
// moves goroutines between threads. Therefore one goroutine, locked to one OS thread for the life of
// the process, does all tensor work. Do sends it the functions to run.
var thread struct {
	start sync.Once
	id    atomic.Int64 // the OS thread's id; zero until it runs
	jobs  chan job
	cuda  string // why libtorch's CUDA library is not loaded
}

type job struct {
	f    func()
	done chan any // receives the value that f panicked with, or nil
}

// threadPanic carries the value and the stack of a panic from the tensor thread to the goroutine
// that called Do.
type threadPanic struct {
	value any
	stack []byte
}

func (p threadPanic) String() string { return fmt.Sprintf("%v\n\n%s", p.value, p.stack) }

// onThread reports whether the caller runs on the tensor thread.
func onThread() bool { return int64(syscall.Gettid()) == thread.id.Load() }

// start prepares libtorch and starts the tensor thread.
func start() {
	thread.start.Do(func() {
		thread.jobs = make(chan job)
		if thread.cuda = "this program was built without CUDA (CUDA=0)"; withCUDA {
			thread.cuda = C.GoString(C.hdas_load_cuda())
		}
		C.hdas_init()
		go serve()
	})
}

// run executes f on the tensor thread and returns the value that f panicked with, or nil.
func run(f func()) any {
	start()
	if onThread() {
		return try(f)
	}
	j := job{f, make(chan any, 1)}
	thread.jobs <- j
	failure := <-j.done
	if _, exited := failure.(exit); exited {
		runtime.Goexit()
	}
	return failure
}

// exit reports that a job called runtime.Goexit, as testing.T.Fatal does. It ends the goroutine that
// called Do as well.
type exit struct{}

// serve runs jobs on the tensor thread. If a job calls runtime.Goexit, a new goroutine takes over.
func serve() {
	runtime.LockOSThread()
	thread.id.Store(int64(syscall.Gettid()))
	var j job
	defer func() {
		go serve()
		j.done <- exit{}
	}()
	for j = range thread.jobs {
		j.done <- try(j.f)
	}
}

// try calls f and returns the value that it panicked with, or nil.
func try(f func()) (failure any) {
	defer func() {
		if r := recover(); r != nil {
			switch r.(type) {
			case *Error, threadPanic:
				failure = r
			default:
				failure = threadPanic{r, debug.Stack()}
			}
		}
	}()
	f()
	return nil
}
