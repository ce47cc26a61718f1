package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hdas/lab/jobs"
)

// helper is the environment variable that makes the test binary run a shell script as a job.
const helper = "JOBS_TEST_HELPER"

func TestMain(m *testing.M) {
	script, ok := os.LookupEnv(helper)
	if !ok {
		os.Exit(m.Run())
	}
	if err := (jobs.Runner{}).Run(context.Background(), []jobs.Job{shell("job", script)}); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func shell(name, script string) jobs.Job {
	return jobs.Job{Name: name, Command: []string{"/bin/sh", "-c", script}}
}

// stopped returns a job that writes a file when it runs, and a checkpoint when it gets SIGTERM.
func stopped(name, folder string) jobs.Job {
	return shell(name, fmt.Sprintf("trap 'touch %[1]s/%[2]s.checkpoint; exit 130' TERM; touch %[1]s/%[2]s.runs; while :; do sleep 0.01; done", folder, name))
}

// eventually waits until ok returns true, and fails after ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatal("in vain: " + what)
		}
	}
}

func exists(path ...string) bool {
	_, err := os.Stat(filepath.Join(path...))
	return err == nil
}

// Two of six jobs run at once, and never three; each is prepared before it starts.
func TestLimit(t *testing.T) {
	folder := t.TempDir()
	var list []jobs.Job
	for i := range 6 {
		j := shell(fmt.Sprint(i), fmt.Sprintf(`cd %s && test -e %d.ready && touch run.%d && sleep 0.1 && set -- run.* && echo $# >&2; rm run.%d`, folder, i, i, i))
		j.Prepare = func() error { return os.WriteFile(filepath.Join(folder, j.Name+".ready"), nil, 0o600) }
		list = append(list, j)
	}
	var at []string
	r := jobs.Runner{Limit: 2, Line: func(job, line string) { at = append(at, strings.TrimSpace(line)) }}
	if err := r.Run(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	if len(at) != 6 || !slices.Contains(at, "2") || slices.Max(at) != "2" {
		t.Errorf("jobs at once: %q", at)
	}
	if err := (jobs.Runner{}).Run(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// Lines of jobs that run at once are not mixed, and each has the name of its job.
func TestLines(t *testing.T) {
	got := map[string][]string{}
	r := jobs.Runner{Limit: 3, Line: func(job, line string) { got[job] = append(got[job], line) }}
	var list []jobs.Job
	for _, name := range []string{"a", "b", "c"} {
		list = append(list, shell(name, `echo dropped; for i in 1 2 3; do printf "`+name+` " >&2; sleep 0.01; printf "$i\n\n" >&2; done; printf end >&2`))
	}
	if err := r.Run(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		if want := []string{name + " 1", "", name + " 2", "", name + " 3", "", "end"}; !slices.Equal(got[name], want) {
			t.Errorf("%s: %q", name, got[name])
		}
	}
}

// If a job fails, the running jobs are stopped, each with a checkpoint, and the waiting ones are not
// started. The error has the last line of the failed job.
func TestFailureStopsTheOthers(t *testing.T) {
	folder := t.TempDir()
	list := []jobs.Job{
		stopped("first", folder), stopped("second", folder),
		shell("bad", fmt.Sprintf("while ! test -e %[1]s/first.runs -a -e %[1]s/second.runs; do sleep 0.01; done; echo a story >&2; echo no such thing >&2; echo >&2; exit 3", folder)),
		stopped("waits", folder),
	}
	err := jobs.Runner{Limit: 3}.Run(t.Context(), list)
	var failed *jobs.Error
	if !errors.As(err, &failed) || failed.Job != "bad" || failed.Exit != 3 || err.Error() != "bad: exit status 3: no such thing" {
		t.Errorf("error %v", err)
	}
	if !exists(folder, "first.checkpoint") || !exists(folder, "second.checkpoint") || exists(folder, "waits.runs") {
		t.Error("the others were not stopped, or those behind them begun")
	}
}

// Jobs that run at once are at different places, and a place gets the next job as soon as it is free.
func TestPlaces(t *testing.T) {
	folder := t.TempDir()
	script := `cd %s && mkdir "$1" && echo "%s" >> "$1.jobs" && %s && rmdir "$1"` // fails if another job is there
	var list []jobs.Job
	for i := range 7 {
		wait := "sleep 0.02"
		if i == 0 {
			wait = "while test $(cat slow.jobs fast.jobs | wc -l) -lt 7; do sleep 0.01; done" // until all others have begun
		}
		j := shell(fmt.Sprint(i), fmt.Sprintf(script, folder, fmt.Sprint(i), wait))
		j.Command = append(j.Command, "sh")
		list = append(list, j)
	}
	r := jobs.Runner{Limit: 2, Places: [][]string{{"slow"}, {"fast"}}}
	if err := r.Run(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	var counts []int
	for _, place := range []string{"slow", "fast"} {
		text, err := os.ReadFile(filepath.Join(folder, place+".jobs"))
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, strings.Count(string(text), "\n"))
	}
	if slices.Sort(counts); !slices.Equal(counts, []int{1, 6}) {
		t.Errorf("jobs at the places: %v", counts)
	}
}

// A job that fails leaves the others going where Failed says so; another one that fails then stops them.
func TestFailed(t *testing.T) {
	folder := t.TempDir()
	list := []jobs.Job{shell("bad", "exit 3"), shell("absent", ""), shell("good", "touch "+folder+"/good"), shell("worse", "exit 4"), shell("last", "touch "+folder+"/last")}
	list[1].Command = []string{"/nowhere/program"}
	var failed []string
	r := jobs.Runner{Failed: func(err *jobs.Error) bool {
		failed = append(failed, fmt.Sprint(err.Job, err.Exit))
		return err.Exit != 4
	}}
	var last *jobs.Error
	if err := r.Run(t.Context(), list); !errors.As(err, &last) || last.Job != "worse" || !slices.Equal(failed, []string{"bad3", "absent-1", "worse4"}) {
		t.Errorf("error %v after %v", err, failed)
	}
	if !exists(folder, "good") || exists(folder, "last") {
		t.Error("the next was not begun, or that after the end was")
	}
	if err := r.Run(t.Context(), list[:3]); err != nil {
		t.Error(err)
	}
}

// A job that ends because of another one is not the cause: the error is that of the other, and without one, its own, after
// all have ended.
func TestFollowers(t *testing.T) {
	r := jobs.Runner{Limit: 3, Patience: time.Minute, Follows: func(exit int) bool { return exit == 3 }}
	follows, ends := shell("follows", "exit 3"), shell("ends", "sleep 0.2")
	bad := shell("bad", "sleep 0.2; exit 4")
	deaf := shell("deaf", "trap '' TERM; while :; do sleep 0.01; done")
	for name, c := range map[string]struct {
		list     []jobs.Job
		patience time.Duration
	}{
		"bad":      {[]jobs.Job{follows, bad, ends}, time.Minute},
		"follows":  {[]jobs.Job{follows, ends}, time.Minute},
		"bad ":     {[]jobs.Job{bad, deaf}, 50 * time.Millisecond},
		"follows ": {[]jobs.Job{follows, deaf}, 50 * time.Millisecond},
	} {
		r.Patience = c.patience
		var failed *jobs.Error
		if err := r.Run(t.Context(), c.list); !errors.As(err, &failed) || failed.Job != strings.TrimSpace(name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A job has its own variables, files and outputs.
func TestOutputs(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out, errs strings.Builder
	j := shell("job", "echo $WORD; echo $WORD >&2; echo $WORD >&3")
	j.Env, j.Files, j.Out, j.Err = []string{"WORD=word"}, []*os.File{file}, &out, &errs
	if err := (jobs.Runner{}).Run(t.Context(), []jobs.Job{j}); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(file.Name())
	if out.String() != "word\n" || errs.String() != "word\n" || string(text) != "word\n" {
		t.Errorf("%q, %q, %q", out.String(), errs.String(), text)
	}
}

// Cancelling the context stops all jobs; one that ignores SIGTERM is killed after Grace.
func TestContextStopsAll(t *testing.T) {
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	deaf := shell("deaf", fmt.Sprintf("trap '' TERM; touch %s/deaf.runs; while :; do sleep 0.01; done", folder))
	go func() {
		for !exists(folder, "polite.runs") || !exists(folder, "deaf.runs") {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	err := jobs.Runner{Limit: 2, Grace: 200 * time.Millisecond, Restarts: 5}.Run(ctx, []jobs.Job{stopped("polite", folder), deaf})
	if !errors.Is(err, context.Canceled) || !exists(folder, "polite.checkpoint") {
		t.Errorf("error %v", err)
	}
}

// A job that a signal killed is restarted at most Restarts times; one that failed is not restarted.
func TestRestarts(t *testing.T) {
	for _, c := range []struct {
		restarts, begun int
		script, words   string
	}{
		{2, 3, "test $(wc -l < begun) = 3 || kill -KILL $$", ""},
		{1, 2, "kill -TERM $$", "job: signal: terminated"},
		{1, 1, "exit 4", "job: exit status 4"},
		{0, 1, "echo an epoch >&2; kill -KILL $$", "job: signal: killed, most likely by the system for lack of memory; run fewer jobs at once, or let each need less"},
	} {
		begun := filepath.Join(t.TempDir(), "begun")
		err := jobs.Runner{Restarts: c.restarts}.Run(t.Context(), []jobs.Job{shell("job", "cd "+filepath.Dir(begun)+"; echo >> begun; "+c.script)})
		text, _ := os.ReadFile(begun)
		if n := strings.Count(string(text), "\n"); n != c.begun || (err == nil) != (c.words == "") || err != nil && err.Error() != c.words {
			t.Errorf("%d restarts of %q: begun %d times, error %v", c.restarts, c.script, n, err)
		}
	}
}

// A job that cannot be prepared or started gives an error with its name.
func TestJobsThatCannotStart(t *testing.T) {
	refuses := shell("refuses", "exit 0")
	refuses.Prepare = func() error { return errors.New("no room") }
	for words, j := range map[string]jobs.Job{"refuses: no room": refuses, "absent: fork/exec /nowhere/program": {Name: "absent", Command: []string{"/nowhere/program"}}} {
		err := jobs.Runner{Restarts: 3}.Run(t.Context(), []jobs.Job{j})
		var failed *jobs.Error
		if !errors.As(err, &failed) || failed.Exit != -1 || !strings.HasPrefix(err.Error(), words) {
			t.Errorf("error %v", err)
		}
	}
}

// Jobs do not outlive the process that runs them, and have process groups of their own, so that a Ctrl-C
// reaches only that process.
func TestJobsEndWithTheirRunner(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), helper+"=echo $$ > "+file+".new && mv "+file+".new "+file+"; exec sleep 60")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job writes its number", func() bool { return exists(file) })
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("process %d is in group %d, %v", pid, group, err)
	}
	c.Process.Kill()
	c.Wait()
	eventually(t, "the job ends", func() bool { return gone(pid) })
}

// gone reports whether a process has ended or is a zombie.
func gone(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}

// A job begins when those that it needs have ended. What needs a job that has failed is not run, and the rest goes on.
func TestNeeds(t *testing.T) {
	folder := t.TempDir()
	script := func(text string) []string { return []string{"/bin/sh", "-c", "cd " + folder + "; " + text} }
	var failed []string
	err := jobs.Runner{Limit: 3, Failed: func(e *jobs.Error) bool {
		failed = append(failed, e.Job)
		if not := errors.Is(e, jobs.ErrNotRun); not != (e.Job == "after c" || e.Job == "last" || e.Job == "self") {
			t.Errorf("%v", e)
		}
		return true
	}}.Run(t.Context(), []jobs.Job{
		{Name: "last", Needs: []string{"after c", "after a"}, Command: script("touch last")},
		{Name: "after a", Needs: []string{"a", "b"}, Command: script("test -e a && test -e b && touch d")},
		{Name: "a", Command: script("sleep 0.2; touch a")}, {Name: "b", Command: script("touch b")},
		{Name: "c", Command: script("exit 3")}, {Name: "after c", Needs: []string{"c"}, Command: script("touch e")},
		{Name: "old", Needs: []string{"of another day"}, Command: script("touch f")},
		{Name: "self", Needs: []string{"self"}, Command: script("touch g")},
	})
	if err != nil {
		t.Error(err)
	}
	slices.Sort(failed)
	if !slices.Equal(failed, []string{"after c", "c", "last", "self"}) {
		t.Errorf("%v failed", failed)
	}
	files, _ := filepath.Glob(filepath.Join(folder, "*"))
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	if !slices.Equal(files, []string{"a", "b", "d", "f"}) {
		t.Errorf("%v were made", files)
	}
}
