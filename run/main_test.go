package run_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"hdas/internal/torchtest"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
)

// helperVariable makes the test binary another process of a test, with that part and folder.
const helperVariable = "HDAS_TEST_RUN_HELPER"

func TestMain(m *testing.M) {
	part, folder, ok := strings.Cut(os.Getenv(helperVariable), " ")
	if !ok {
		os.Exit(m.Run())
	}
	if err := helper(part, folder); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// helper opens a folder, prints a line, and then does what part says.
func helper(part, folder string) error {
	d, err := run.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	fmt.Println("ready")
	switch part {
	case "hold": // until the test closes standard input
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case "save": // until it is killed
		epoch := 0
		if err := d.Records(func([]byte) error { epoch++; return nil }); err != nil {
			return err
		}
		for ; ; epoch++ {
			if err := errors.Join(d.Append(record{epoch}), saveEpoch(d, epoch), d.WriteFile("genotypes/last.yaml", []byte("version: 1\n"))); err != nil {
				return err
			}
		}
	case "full": // every write past so many bytes of a file fails
		signal.Ignore(syscall.SIGXFSZ)
		limit := syscall.Rlimit{Cur: 400, Max: 400}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		long := strings.Repeat("x", 300)
		for what, err := range map[string]error{
			"save":   saveEpoch(d, 9),
			"file":   d.WriteFile("config.yaml", []byte(long+long)),
			"record": errors.Join(d.Append(map[string]any{"epoch": 8, "x": long}), d.Append(map[string]any{"epoch": 9, "x": long})),
		} {
			if !errors.Is(err, syscall.EFBIG) {
				return fmt.Errorf("%s on a full disk: %v", what, err)
			}
		}
		return nil
	}
	return fmt.Errorf("no part %q", part)
}

// process is a running helper; its output after "ready" is for the caller.
type process struct {
	*exec.Cmd
	stdin  io.WriteCloser
	output *bufio.Reader
}

func start(t *testing.T, part, folder string) process {
	t.Helper()
	p := process{Cmd: exec.Command(os.Args[0])}
	p.Env = append(os.Environ(), helperVariable+"="+part+" "+folder)
	p.Stderr = os.Stderr
	var err error
	if p.stdin, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	p.output = bufio.NewReader(out)
	if line, _ := p.output.ReadString('\n'); line != "ready\n" {
		t.Fatalf("%s: %s", part, line)
	}
	return p
}

type record struct {
	Epoch int `json:"epoch"`
}

// do calls f inside torch.Do, and fails if f returns an error or leaves tensors.
var do = torchtest.Try

// refuse calls f inside torch.Do and fails unless f returns an error that contains all of these texts.
func refuse(t testing.TB, says []string, f func() error) {
	t.Helper()
	var err error
	do(t, func() error { err = f(); return nil })
	if err == nil {
		t.Fatal("no error")
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Fatalf("error %q does not say %q", err, s)
		}
	}
}

// sample returns a small checkpoint whose tensors hold the number of its epoch. It runs inside torch.Do.
func sample(epoch int) run.Checkpoint {
	v := float32(epoch)
	return run.Checkpoint{
		Meta: run.Meta{Kind: "search", Config: "seed: 1\n", Epoch: epoch, Generators: map[string][]byte{"cpu": {1, 2}}},
		State: map[string][]nn.Param{
			"weights": {{Name: "stem.0.weight", Tensor: torchtest.Float32s([]float32{v, v, v, v}, 2, 2)}},
			"adam":    {{Name: "step", Tensor: torchtest.Int64s([]int64{int64(epoch)}, 1)}},
		},
	}
}

func saveEpoch(d *run.Dir, epoch int) error {
	return torch.Do(func(*torch.Scope) error { return d.Save(sample(epoch)) })
}

// latest returns the epoch of a folder's newest checkpoint, -1 if there is none, and its warning.
func latest(t testing.TB, d *run.Dir) (epoch int, warning error) {
	t.Helper()
	epoch = -1
	do(t, func() error {
		c, ok, err := d.Latest()
		if err != nil || !ok {
			return err
		}
		epoch, warning = c.Meta.Epoch, c.Warning
		if got := c.State["weights"]["stem.0.weight"].Float64s()[3]; got != float64(epoch) {
			return fmt.Errorf("weights of epoch %v in the checkpoint of epoch %d", got, epoch)
		}
		return nil
	})
	return epoch, warning
}

func create(t testing.TB) *run.Dir {
	t.Helper()
	d, err := run.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
