package parity

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"hdas/internal/golden/pytorch"
	"hdas/internal/proc"
	"hdas/torch"
	"hdas/torch/versions"
)

// Python is a Python interpreter with a supported PyTorch.
type Python struct {
	Path string
	// Torch is the version of its PyTorch.
	Torch string
}

const (
	cure     = "run make parity, which prepares one, or name one with --python"
	packages = "numpy safetensors"
)

// Find returns the Python of that path or name if it has a supported PyTorch, and otherwise an error
// that says what to do. An empty path means $PYTHON or, if that is not set, a Python that make parity
// prepared, with the version of this program's libtorch if there is one, or else python3.
func Find(ctx context.Context, path string) (Python, error) {
	path = cmp.Or(path, os.Getenv("PYTHON"))
	if path == "" {
		path = preparedPython(torch.Version())
	}
	full, err := exec.LookPath(path)
	if err != nil {
		return Python{}, fmt.Errorf("no Python: %w; %s", err, cure)
	}
	const probe = `import json, sys
def version(name):
    try:
        return str(__import__(name).__version__)
    except ImportError as e:
        return "" if e.name == name else "broken: %s" % e
    except Exception as e:
        return "broken: %s" % e
print(json.dumps({"python": "%d.%d" % sys.version_info[:2], "torch": version("torch"), "numpy": version("numpy"), "safetensors": version("safetensors")}))`
	var found struct{ Python, Torch, Numpy, Safetensors string }
	var errs bytes.Buffer
	c := exec.CommandContext(ctx, full, "-c", probe)
	defer proc.Bind(c)()
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		return Python{}, fmt.Errorf("%s does not run: %w: %s; %s", full, err, lastLine(errs.String()), cure)
	}
	if err := json.Unmarshal(out, &found); err != nil {
		return Python{}, fmt.Errorf("%s is no Python 3: it answered %q; %s", full, lastLine(string(out)), cure)
	}
	for _, p := range []struct{ name, version string }{{"PyTorch", found.Torch}, {"numpy", found.Numpy}, {"safetensors", found.Safetensors}} {
		switch {
		case p.version == "" && p.name == "PyTorch":
			return Python{}, fmt.Errorf("%s is Python %s and has no PyTorch; %s", full, found.Python, cure)
		case p.version == "":
			return Python{}, fmt.Errorf("%s has no %s; %s, or install it there: %s -m pip install %s", full, p.name, cure, full, packages)
		case strings.HasPrefix(p.version, "broken"):
			return Python{}, fmt.Errorf("%s's %s is %s; %s", full, p.name, p.version, cure)
		}
	}
	if _, ok := versions.Of(found.Torch); !ok {
		return Python{}, fmt.Errorf("%s has PyTorch %s, and the supported versions are %s; %s", full, found.Torch, versions.Names(), cure)
	}
	return Python{full, found.Torch}, nil
}

// preparedPython returns the Python that make parity prepared with that version of PyTorch, else one with
// another version, the newest first, and python3 if there is none.
func preparedPython(version string) string {
	home := os.Getenv("HDAS_CACHE")
	if home == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "python3"
		}
		home = filepath.Join(base, "hdas")
	}
	order := slices.Clone(versions.Supported)
	slices.Reverse(order)
	if same, ok := versions.Of(version); ok {
		order = append([]versions.Version{same}, order...)
	}
	for _, v := range order {
		folder := filepath.Join(home, "pytorch-"+v.Number)
		if _, err := os.Stat(filepath.Join(folder, "complete.json")); err == nil {
			return filepath.Join(folder, "bin", "python")
		}
	}
	return "python3"
}

// authors reports whether a folder is a checkout of the program of the authors of H-DAS.
func authors(folder string) bool {
	for _, name := range []string{"genotypes.py", "models/search_stage.py", "models/augment_stage.py", "models/architect.py"} {
		if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			return false
		}
	}
	return folder != ""
}

// CheckReference returns an error if a folder is not a checkout of quark0/darts or of the program of the authors of H-DAS.
func CheckReference(folder string) error {
	if authors(folder) {
		return nil
	}
	for _, name := range []string{"model.py", "model_search.py", "architect.py", "operations.py", "genotypes.py", "utils.py"} {
		if _, err := os.Stat(filepath.Join(folder, "cnn", name)); err != nil {
			return fmt.Errorf("%s is no checkout of quark0/darts: %w; name the folder that has cnn/model.py (git clone of github.com/quark0/darts), or models/search_stage.py (of github.com/msight-tech/research-hdas)", folder, err)
		}
	}
	return nil
}

// run runs PyTorch's side in a folder that was prepared.
func (p Python) run(ctx context.Context, folder string) error {
	command, err := p.command(pytorch.Driver, folder)
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Env = append(os.Environ(), exact)
	return child(c, "PyTorch's side")
}

// pace returns the command that runs PyTorch's timed steps on a folder; compiled says whether
// torch.compile compiles the networks.
func (p Python) pace(folder string, compiled bool) ([]string, error) {
	command, err := p.command(pytorch.Pace, folder)
	if compiled {
		command = append(command, "compile")
	}
	return command, err
}

// command writes the Python programs to a folder and returns the command that runs one of them there.
func (p Python) command(program, folder string) ([]string, error) {
	files := filepath.Join(folder, "python")
	if err := os.CopyFS(files, pytorch.Files); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return []string{p.Path, "-B", filepath.Join(files, program), folder}, nil
}

// child runs one side. Its error contains the line of standard error that says why the side failed.
func child(c *exec.Cmd, side string) error {
	var errs bytes.Buffer
	c.Stdout, c.Stderr = &errs, &errs
	defer proc.Bind(c)()
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", side, err, cause(errs.String()))
	}
	return nil
}

// cause returns the line of a program's standard error that says why it ended: the first line of a Go
// panic, the last line of a Python exception.
func cause(text string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "panic: ") {
			return strings.TrimSpace(line)
		}
	}
	return lastLine(text)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
