// Package disttest runs the processes of a group in tests: a test program starts itself.
package disttest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"hdas/internal/proc"
	"hdas/internal/torchtest"
	"hdas/torch"
	"hdas/torch/dist"
)

// The environment variables that make the test program a member of a group.
const (
	actVariable    = "HDAS_TEST_ACT"
	memberVariable = "HDAS_TEST_MEMBER" // rank, world, port
)

// Main runs a package's tests or, in a process that Run has started, one of acts: what the members of a group do. It
// returns the exit code.
func Main(m *testing.M, acts map[string]func(g *dist.Group) error) int {
	act := os.Getenv(actVariable)
	if act == "" {
		return m.Run()
	}
	if err := member(acts[act]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// member joins the group of the environment and does what its members do.
func member(act func(g *dist.Group) error) error {
	var m dist.Member
	if _, err := fmt.Sscan(os.Getenv(memberVariable), &m.Rank, &m.World, &m.Port); err != nil {
		return err
	}
	m.Address, m.Serve, m.Join = "127.0.0.1", m.Rank == 0, 5*time.Minute
	if m.Serve {
		m.Listen = 3
	}
	var g *dist.Group
	err := torch.Do(func(*torch.Scope) (err error) {
		torch.SetThreads(1)
		g, err = dist.Join(m)
		return err
	})
	if err != nil {
		return err
	}
	defer torch.Do(func(*torch.Scope) error { g.Close(); return nil })
	return act(g)
}

// Run starts the members of a group, each of which does that act, and waits for them. It returns their errors, and what
// they wrote. The words of env, NAME=VALUE, are added to their environment.
func Run(t *testing.T, act string, world int, env ...string) (errs []error, texts []string) {
	t.Helper()
	torchtest.Device() // fails early where tests cannot run
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close() // the descriptor stays open
	var all []*exec.Cmd
	var outs []*bytes.Buffer
	for rank := range world {
		c := exec.Command(os.Args[0])
		out := new(bytes.Buffer)
		c.Env = append(append(os.Environ(), actVariable+"="+act, fmt.Sprintf("%s=%d %d %s", memberVariable, rank, world, port)), env...)
		c.Stdout, c.Stderr = out, out
		if rank == 0 {
			c.ExtraFiles = []*os.File{socket}
		}
		release := proc.Bind(c)
		defer release()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all, outs = append(all, c), append(outs, out)
	}
	for i, c := range all {
		errs, texts = append(errs, c.Wait()), append(texts, outs[i].String())
	}
	return errs, texts
}

// Together is Run that fails the test unless all members succeed without a word.
func Together(t *testing.T, act string, world int, env ...string) {
	t.Helper()
	errs, texts := Run(t, act, world, env...)
	for rank, err := range errs {
		if err != nil || texts[rank] != "" {
			t.Errorf("rank %d of %d: %v, %s", rank, world, err, texts[rank])
		}
	}
}
