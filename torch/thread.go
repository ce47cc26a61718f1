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

// libtorch keeps its last error, its gradient mode and its OpenMP pool per OS thread, while
// goroutines move between threads. So one goroutine, locked to one thread for the life of the
// process, does all tensor work; Do hands it functions.
var thread struct {
	start sync.Once
	id    atomic.Int64 // the OS thread's, zero until it runs
	jobs  chan job
}

type job struct {
	f    func()
	done chan any // what f panicked with, or nil
}

// threadPanic carries a panic from the tensor thread to the goroutine that called Do, with the
// stack it came from.
type threadPanic struct {
	value any
	stack []byte
}

func (p threadPanic) String() string { return fmt.Sprintf("%v\n\n%s", p.value, p.stack) }

func onThread() bool { return int64(syscall.Gettid()) == thread.id.Load() }

// run executes f on the tensor thread and returns what it panicked with, or nil.
func run(f func()) any {
	thread.start.Do(func() {
		thread.jobs = make(chan job)
		C.hdas_init()
		go serve()
	})
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

// exit says that a job called runtime.Goexit, as testing.T.Fatal does: its caller has to end, and
// the thread with it.
type exit struct{}

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
