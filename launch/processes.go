package launch

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"time"

	"hdas/lab/jobs"
)

// Processes starts the processes of a run on this host.
type Processes struct {
	N        int
	Command  []string  // the program and its arguments
	Out, Err io.Writer // of rank 0
	// Line is called with every line that another rank writes to its standard error.
	Line func(name, line string)
	// Follows reports whether a process ends with that exit code because of another one, or with the others.
	Follows func(exit int) bool
}

// Run starts the processes and waits for them. If one fails, it ends the others and returns its *jobs.Error, with the
// name "rank N". If ctx is cancelled, it sends SIGTERM to all and waits for them. No process outlives this one.
func (p Processes) Run(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := l.Addr().(*net.TCPAddr).Port
	socket, err := l.(*net.TCPListener).File()
	l.Close() // the copy stays open
	if err != nil {
		return err
	}
	defer socket.Close()
	var list []jobs.Job
	for rank := range p.N {
		j := jobs.Job{Name: fmt.Sprintf("rank %d", rank), Command: p.Command}
		for name, value := range map[string]int{"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": p.N, "LOCAL_WORLD_SIZE": p.N, "MASTER_PORT": port, SocketVariable: 3} {
			j.Env = append(j.Env, fmt.Sprintf("%s=%d", name, value))
		}
		j.Env = append(j.Env, "MASTER_ADDR=127.0.0.1", "TORCHELASTIC_USE_AGENT_STORE=", "TORCHELASTIC_RESTART_COUNT=")
		if os.Getenv("OMP_NUM_THREADS") == "" {
			j.Env = append(j.Env, fmt.Sprintf("OMP_NUM_THREADS=%d", max(1, runtime.NumCPU()/p.N)))
		}
		if rank == 0 {
			j.Files, j.Out, j.Err = []*os.File{socket}, p.Out, p.Err
		}
		list = append(list, j)
	}
	return jobs.Runner{Limit: p.N, Line: p.Line, Follows: p.Follows, Patience: 10 * time.Second}.Run(ctx, list)
}
