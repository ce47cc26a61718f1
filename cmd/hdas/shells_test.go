package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// shells holds what README says of the shells: where the completion goes, below the home folder, and what a user's
// start file does.
var shells = []struct {
	name, file, needs, begin string
	args                     []string
}{
	{"bash", ".local/share/bash-completion/completions/hdas", "/usr/share/bash-completion/bash_completion", ". /usr/share/bash-completion/bash_completion", []string{"--norc", "--noprofile", "-i"}},
	{"zsh", "functions/_hdas", "", "fpath=(~/functions $fpath); autoload -Uz compinit; compinit -u -D", []string{"-f", "-i"}},
	{"fish", ".config/fish/completions/hdas.fish", "", "true", []string{"-i"}},
}

// In a real shell on a terminal, Tab completes names, keys of settings and their values, devices and configurations.
func TestShells(t *testing.T) {
	typed := []string{"show Hc_\t", "search cell --set search.alpha.l\t0.1", "train --set train.schedule=li\t", "search stage --set search.cells=Hc_\t", "train DARTS_V1 --config tiny-t\t --device cp\t", "show nothing\t"}
	want := []string{"show Hc_DAS_cells", "search cell --set search.alpha.lr=0.1", "train --set train.schedule=linear", "search stage --set search.cells=Hc_DAS_cells", "train DARTS_V1 --config tiny-train --device cpu", "show nothing"}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shells {
		t.Run(s.name, func(t *testing.T) {
			shell, err := exec.LookPath(s.name)
			if err != nil {
				t.Skipf("%s is not installed", s.name)
			}
			if _, err := os.Stat(s.needs); s.needs != "" && err != nil {
				t.Skip("the package bash-completion is not installed")
			}
			home := t.TempDir()
			place := func(name, text string, mode os.FileMode) {
				name = filepath.Join(home, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), mode); err != nil {
					t.Fatal(err)
				}
			}
			place(s.file, must(t, "completion", s.name), 0o644)
			place("bin/hdas", fmt.Sprintf("#!/bin/sh\ncase $1 in __complete*) %s=yes exec '%s' \"$@\";; esac\necho \"[$*]\"\n", asProgram, self), 0o755)
			place(".local/share/fish/generated_completions/none", "", 0o644) // else fish reads all manual pages
			c := exec.Command(shell, s.args...)
			c.Dir = home
			c.Env = append(os.Environ(), "HOME="+home, "PATH="+filepath.Join(home, "bin")+":"+os.Getenv("PATH"), "TERM=xterm", "XDG_CONFIG_HOME=", "XDG_DATA_HOME=")
			tty, err := pty.StartWithSize(c, &pty.Winsize{Rows: 50, Cols: 200})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Wait()
			defer tty.Close()
			out := bufio.NewScanner(tty)
			said := "" // all that the terminal showed
			enter := func(line string) (ran string) {
				if _, err := tty.WriteString(line + "\n"); err != nil {
					t.Fatal(err)
				}
				for out.Scan() { // until what the command prints, on a line of its own
					said += out.Text() + "\n"
					text := strings.TrimRight(out.Text(), "\r")
					if from := strings.LastIndex(text, "["); strings.HasSuffix(text, "]") && !strings.Contains(text, "\t") && from >= 0 {
						return text[from+1 : len(text)-1]
					}
				}
				t.Fatalf("the shell has ended:\n%s", said)
				return ""
			}
			if got := enter(s.begin + "; hdas ready"); got != "ready" {
				t.Fatalf("%q", said)
			}
			var got []string
			for _, line := range typed {
				got = append(got, enter("hdas "+line))
			}
			tty.WriteString("exit\n")
			if !slices.Equal(got, want) {
				t.Errorf("%q, not %q; the terminal showed\n%s", got, want, said)
			}
		})
	}
}
