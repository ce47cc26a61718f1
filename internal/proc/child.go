package proc

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Bind makes a command that is to be started a child of this process alone. It is killed if this process ends
// in any way. It has a process group of its own, so that a Ctrl-C at a terminal reaches only this process,
// which then stops it. The kernel kills the child when the thread that started it ends; therefore the caller
// keeps its thread until it calls release, after the child has ended.
func Bind(c *exec.Cmd) (release func()) {
	runtime.LockOSThread()
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return runtime.UnlockOSThread
}
