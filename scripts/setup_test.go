// Package scripts_test runs the setup on tiny wheels and libtorches of its own, without a network.
package scripts_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A setup is a copy of the scripts whose lists name tiny wheels.
type setup struct {
	t                  *testing.T
	dir, cache, wheels string
	libtorch           string // a stand-in for libtorch, of C++ ABI 0
}

func newSetup(t *testing.T) *setup {
	t.Helper()
	root := t.TempDir()
	s := &setup{t, filepath.Join(root, "scripts"), filepath.Join(root, "cache"), filepath.Join(root, "wheels"), fakeLibtorch(t, 0, "2.1.2")}
	for _, name := range []string{"setup.sh", "setup.py", "gotch.h", "libtorch/2.1.2-cpu.txt", "libjpeg/wheel.txt", "../torch/versions/versions.txt"} {
		copyFile(t, name, filepath.Join(s.dir, name))
	}
	copyFile(t, "../go.mod", filepath.Join(root, "go.mod"))
	return s
}

// makeWheels writes the wheels of a CPU build and the list that pins them.
func (s *setup) makeWheels() {
	s.t.Helper()
	if exec.Command("python3", "-m", "pip", "--version").Run() != nil {
		s.t.Skip("python3 has no pip")
	}
	files := map[string]string{"torch/lib/libtorch_python.so": "not needed"}
	for _, name := range []string{"lib/libc10.so", "lib/libtorch_cpu.so", "lib/libgomp-a34b3233.so.1", versionHeader} {
		files["torch/"+name] = readFile(s.t, filepath.Join(s.libtorch, name))
	}
	list := s.makeWheel("torch", "2.1.2", "cp311-cp311", files) +
		s.makeWheel("nvidia-cuda-runtime-cu12", "12.1.105", "py3-none", map[string]string{"nvidia/cuda_runtime/lib/libcudart.so.12": "cudart"}) +
		s.makeWheel("nvidia-cuda-cupti-cu12", "12.1.105", "py3-none", map[string]string{"nvidia/cuda_cupti/lib/libcupti.so.12": "cupti"})
	writeFile(s.t, filepath.Join(s.dir, "libtorch", "2.1.2-cpu.txt"), []byte("# tiny\n"+list))
}

// makeWheel writes a wheel and returns the line that pins it.
func (s *setup) makeWheel(name, version, tag string, files map[string]string) string {
	s.t.Helper()
	file := fmt.Sprintf("%s-%s-%s-manylinux1_x86_64.whl", strings.ReplaceAll(name, "-", "_"), version, tag)
	info := fmt.Sprintf("%s-%s.dist-info/", strings.ReplaceAll(name, "-", "_"), version)
	files[info+"METADATA"] = fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)
	files[info+"WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: " + tag + "-manylinux1_x86_64\n"
	files[info+"LICENSE"] = "free\n"
	data := zipped(s.t, files)
	writeFile(s.t, filepath.Join(s.wheels, file), data)
	return fmt.Sprintf("%s==%s --hash=sha256:%x  # %d bytes, %d kept\n", name, version, sha256.Sum256(data), len(data), len(data))
}

// run runs the setup for the CPU, with the further variables, and returns what it printed.
func (s *setup) run(args []string, env ...string) (stdout, stderr string, err error) {
	c := exec.Command(filepath.Join(s.dir, "setup.sh"), args...)
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if !slices.Contains([]string{"LIBTORCH", "GOFLAGS", "PYTHON", "CXX", "CGO_CXXFLAGS", "CGO_LDFLAGS", "CGO_ENABLED"}, name) {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(c.Env, "GOENV=off", "CUDA=0", "LIBJPEG=0", "HDAS_CACHE="+s.cache, "PIP_NO_INDEX=1", "PIP_FIND_LINKS="+s.wheels)
	c.Env = append(c.Env, env...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err = c.Run()
	return out.String(), errs.String(), err
}

func (s *setup) fails(args []string, words string, env ...string) {
	s.t.Helper()
	stdout, stderr, err := s.run(args, env...)
	if err == nil || stdout != "" || !strings.Contains(stderr, words) || strings.Contains(stderr, "setup.py\", line") {
		s.t.Errorf("%v %v: want %q, got %v\n%s%s", args, env, words, err, stdout, stderr)
	}
}

func (s *setup) passes(args []string, env ...string) (stdout, stderr string) {
	s.t.Helper()
	stdout, stderr, err := s.run(args, env...)
	if err != nil {
		s.t.Fatalf("%v %v: %v\n%s%s", args, env, err, stdout, stderr)
	}
	return stdout, stderr
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.makeWheels()
	home := filepath.Join(s.cache, "libtorch-2.1.2-cpu")
	cupti, err := filepath.Glob(filepath.Join(s.wheels, "*cupti*"))
	if err != nil || len(cupti) != 1 {
		t.Fatal(cupti, err)
	}

	// Cut off after two wheels, it goes on with the third; what is unfinished has not the name.
	writeFile(t, filepath.Join(s.cache, ".unfinished-other", "file"), nil)
	aside := filepath.Join(t.TempDir(), filepath.Base(cupti[0]))
	rename(t, cupti[0], aside)
	s.fails(nil, "could not download nvidia-cuda-cupti-cu12 12.1.105")
	if _, err := os.Stat(home); err == nil {
		t.Fatalf("%s is there after a run that failed", home)
	}
	rename(t, aside, cupti[0])
	if _, stderr := s.passes(nil); strings.Contains(stderr, "(2 of 3)") || !strings.Contains(stderr, "(3 of 3)") {
		t.Errorf("want the third wheel alone, got\n%s", stderr)
	}
	if left, err := filepath.Glob(filepath.Join(s.cache, ".unfinished*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	for name, want := range map[string]bool{
		"torch/lib/libtorch_cpu.so": true, "torch/lib/libtorch_python.so": false, "torch/LICENSE": true, "nvidia/cuda_cupti/LICENSE": true,
		"nvidia/cuda_runtime/lib/libcudart.so.12": true, "empty/libtorch_cuda.a": true,
	} {
		if _, err := os.Stat(filepath.Join(home, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Done, it needs no wheels, and its output is what a shell evaluates. The header that gotch is compiled with has a name
	// that changes with its content.
	header := func() string {
		files, err := filepath.Glob(filepath.Join(home, "empty", "gotch-*.h"))
		if err != nil || len(files) != 1 || readFile(t, files[0]) != readFile(t, filepath.Join(s.dir, "gotch.h")) {
			t.Fatal(files, err)
		}
		return files[0]
	}
	want := fmt.Sprintf("export CGO_CXXFLAGS='-O2 -D_GLIBCXX_USE_CXX11_ABI=0 -I%[1]s/torch/include -I%[1]s/torch/include/torch/csrc/api/include -include %[2]s'\n"+
		"export CGO_LDFLAGS='-L%[1]s/empty -L%[1]s/torch/lib -Wl,-rpath,%[1]s/torch/lib'\nexport GOFLAGS='-trimpath -tags=nocuda'\n", home, header())
	if got, stderr := s.passes([]string{"env"}, "PIP_FIND_LINKS="); got != want || stderr != "" {
		t.Errorf("got\n%s%swant\n%s", got, stderr, want)
	}
	if got, _ := s.passes([]string{"run", "--", "sh", "-c", "echo $CGO_LDFLAGS"}); !strings.HasPrefix(got, "-L"+home+"/empty ") {
		t.Errorf("run: %s", got)
	}
	s.fails([]string{"run", "--", "no-such-program"}, "no-such-program cannot be run")

	// A library that is gone is not taken for whole.
	remove(t, filepath.Join(home, "torch", "lib", "libc10.so"))
	s.fails([]string{"env"}, "could not download torch 2.1.2", "PIP_FIND_LINKS=")

	// Another file under the name of a pinned one.
	list := filepath.Join(s.dir, "libtorch", "2.1.2-cpu.txt")
	pins := readFile(t, list)
	before, after, _ := strings.Cut(pins, "sha256:")
	writeFile(t, list, []byte(before+"sha256:"+strings.Repeat("0", 64)+after[64:]))
	s.fails(nil, "is not the file that is pinned")
}

func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.makeWheels()
	var all [2]string
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			_, stderr, err := s.run(nil)
			if all[i] = stderr; err != nil {
				t.Errorf("%v\n%s", err, stderr)
			}
		})
	}
	wg.Wait()
	if strings.Count(all[0]+all[1], "(1 of 3)") != 1 {
		t.Errorf("both prepared, or none:\n%s\n%s", all[0], all[1])
	}
}

func TestOwn(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	for abi := range 2 {
		own := fakeLibtorch(t, abi, "2.1.0")
		got, _ := s.passes([]string{"env"}, "LIBTORCH="+own, "CUDA=")
		if !strings.Contains(got, fmt.Sprintf("CXX11_ABI=%d -I%s/include ", abi, own)) || !strings.HasSuffix(got, "export GOFLAGS=-trimpath\n") {
			t.Errorf("C++ ABI %d: %s", abi, got)
		}
	}
	s.fails(nil, "is 2.2.0, and the supported versions are 2.1.2, ", "LIBTORCH="+fakeLibtorch(t, 1, "2.2.0"))
	s.fails(nil, "of an unknown version, and the supported versions", "LIBTORCH="+fakeLibtorch(t, 1, ""))
	s.fails(nil, "has no include/torch", "LIBTORCH="+s.cache)
	s.fails(nil, "has no libtorch_cuda.so", "LIBTORCH="+s.libtorch, "CUDA=1")
	s.fails(nil, "has a space", "LIBTORCH=/my libtorch")
	broken := fakeLibtorch(t, 1, "2.1.2")
	remove(t, filepath.Join(broken, "lib", "libgomp-a34b3233.so.1"))
	s.fails(nil, "libtorch_cpu.so does not load on this machine: OSError: libgomp-a34b3233.so.1", "LIBTORCH="+broken)

	compile(t, filepath.Join(s.libtorch, "lib", "libtorch_cuda.so"), "void cuda() {}")
	for _, cuda := range []string{"", "1"} {
		if got, _ := s.passes([]string{"env"}, "LIBTORCH="+s.libtorch, "CUDA="+cuda); !strings.HasSuffix(got, "export GOFLAGS=-trimpath\n") {
			t.Errorf("CUDA: %s", got)
		}
	}
}

// LIBTORCH=python is the installed PyTorch's, of $PYTHON or python3.
func TestInstalledPyTorch(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	python := func(lines string) string {
		file := filepath.Join(t.TempDir(), "python")
		writeFile(t, file, []byte("#!/bin/sh\n"+lines+"\n"))
		return "PYTHON=" + file
	}
	got, _ := s.passes([]string{"env"}, "LIBTORCH=python", python("echo "+s.libtorch))
	if !strings.Contains(got, " -I"+s.libtorch+"/include ") {
		t.Errorf("got %s", got)
	}
	s.fails(nil, "has no PyTorch", "LIBTORCH=python", python("echo"))
	s.fails(nil, "has no PyTorch", "LIBTORCH=python", python("exit 1"))
	s.fails(nil, "does not run", "LIBTORCH=python", "PYTHON=/no/such/python")
	half := fakeLibtorch(t, 1, "2.11.0")
	remove(t, filepath.Join(half, "lib", "libtorch_cpu.so"))
	s.fails(nil, "has no lib/libtorch_cpu.so", "LIBTORCH=python", python("echo "+half))
}

// Headers of C++20 are compiled by a compiler that is told so, although gotch asks for C++17, also where a setup runs within the
// environment of another.
func TestCXX20(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	newest := fakeLibtorch(t, 1, "2.15.0")
	probe := "echo 'int main() { return __cplusplus / 100; }' | $CXX -std=c++17 -E -x c++ - | tail -n 1"
	inner := filepath.Join(s.dir, "setup.sh") + " run -- sh -c \"" + strings.ReplaceAll(probe, "$", "\\$") + "\""
	for libtorch, want := range map[string]string{newest: "202002L", s.libtorch: "201703L"} {
		for i, command := range []string{probe, "LIBTORCH=" + libtorch + " " + inner} {
			outer := []string{libtorch, newest}[i]
			got, _ := s.passes([]string{"run", "--", "sh", "-c", "export CXX=${CXX:-g++}; " + command}, "LIBTORCH="+outer)
			if !strings.Contains(got, want) {
				t.Errorf("%s with %s: %s", libtorch, command, got)
			}
		}
	}
	old := filepath.Join(t.TempDir(), "old")
	writeFile(t, old, []byte("#!/bin/sh\ncase \"$*\" in *c++20*) echo no such standard >&2; exit 1;; esac\nexec g++ \"$@\"\n"))
	s.fails(nil, "does not compile C++20 with OpenMP: no such standard", "LIBTORCH="+newest, "CXX="+old)
	s.passes(nil, "LIBTORCH="+s.libtorch, "CXX="+old)
}

// The version to prepare is the newest that the driver and the GPU can use.
func TestChoice(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	for _, name := range []string{"2.1.2-cpu", "2.1.2-cuda", "2.15.0-cpu", "2.15.0-cuda", "2.11.0-cpu", "2.8.0-cuda"} {
		writeFile(t, filepath.Join(s.dir, "libtorch", name+".txt"), nil)
	}
	choose := "import os, setup; v, kind, why = setup.choose(os.environ.get('LIBTORCH', '')); print(v.number, kind, why)"
	for _, c := range []struct{ gpus, env, want string }{
		{"", "", "2.15.0 cpu the newest for CPUs"},
		{"580.95.05, 9.0", "", "2.15.0 cuda the newest for GPUs"},
		{"580.95.05, 12.0\n580.95.05, 8.6", "", "2.15.0 cuda"},
		{"580.95.05, 9.0", "CUDA=0", "2.15.0 cpu"},
		{"", "CUDA=1", "2.15.0 cuda"},
		{"535.129.03, 8.0", "", "2.8.0 cuda the newest that runs here; 2.15.0 does not: CUDA 13.2 needs the NVIDIA driver 580, and 535 is installed"},
		{"580.95.05, 7.0", "", "2.8.0 cuda the newest that runs here; 2.15.0 does not: its wheel has code for compute capabilities 7.5 to"},
		{"580.95.05, 7.0\n580.95.05, 6.1", "", "2.1.2 cuda"},
		{"470.82.01, 8.0", "", "no supported libtorch runs on this GPU: 2.15.0: CUDA 13.2 needs the NVIDIA driver 580, and 470 is installed"},
		{"", "LIBTORCH=2.11.0", "2.11.0 cpu LIBTORCH=2.11.0"},
		{"580.95.05, 9.0", "LIBTORCH=2.11.0", "libtorch 2.11.0 for CUDA is not among those that setup can prepare"},
		{"535.129.03, 8.0", "LIBTORCH=2.15.0", "libtorch 2.15.0 does not run here: CUDA 13.2 needs the NVIDIA driver 580, and 535 is installed"},
		{"", "CUDA=2", "CUDA=2 is neither 0 nor 1"},
	} {
		bin := t.TempDir()
		smi := "#!/bin/sh\necho '" + c.gpus + "'\n"
		if c.gpus == "" {
			smi = "#!/bin/sh\necho NVIDIA-SMI has failed; exit 9\n"
		}
		writeFile(t, filepath.Join(bin, "nvidia-smi"), []byte(smi))
		p := exec.Command("python3", "-c", choose)
		p.Dir = s.dir
		p.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "LIBTORCH=", "CUDA=", c.env)
		if c.env == "" {
			p.Env = p.Env[:len(p.Env)-1]
		}
		if got, err := p.CombinedOutput(); !strings.Contains(string(got), c.want) {
			t.Errorf("%+v: %v, %s", c, err, got)
		}
	}
}

// The lists of wheels belong to supported versions, and each supported version has one for the CPU.
func TestLists(t *testing.T) {
	t.Parallel()
	check := "import setup; [setup.wheels_of(setup.wheels_file(v, k)) for v in setup.supported() for k in ('cpu', 'cuda') if k == 'cpu' or setup.wheels_file(v, k).exists()]; " +
		"names = {v.number for v in setup.supported()}; print([f.name for f in (setup.HERE / 'libtorch').iterdir() if f.name.rsplit('-', 1)[0] not in names])"
	if got, err := exec.Command("python3", "-B", "-c", check).CombinedOutput(); err != nil || string(got) != "[]\n" {
		t.Errorf("%v: %s", err, got)
	}
}

// A program with OpenMP has one runtime, libtorch's, although the file is not named inside as it is outside.
func TestOneOpenMP(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	got, _ := s.passes([]string{"run", "--", "sh", "-c", "echo $CGO_LDFLAGS"}, "LIBTORCH="+s.libtorch)
	program := filepath.Join(t.TempDir(), "program")
	flags := append([]string{"-Wl,--no-as-needed"}, strings.Fields(got)...)
	compile(t, program, "extern \"C\" void GOMP_barrier(); int main() { GOMP_barrier(); }", append(flags, "-ltorch_cpu", "-lgomp_torch")...)
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	libraries, err := f.ImportedLibraries()
	if err != nil || !slices.Contains(libraries, "libgomp-a34b3233.so.1") || slices.Contains(libraries, "libgomp.so.1") {
		t.Errorf("%v %v", libraries, err)
	}
	if out, err := exec.Command(program).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestGOFLAGS(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	compile(t, filepath.Join(s.libtorch, "lib", "libtorch_cuda.so"), "void cuda() {}")
	for _, c := range []struct{ flags, cuda, want string }{
		{"-mod=mod", "0", "-mod=mod -trimpath -tags=nocuda"},
		{"-tags=a,b -v", "0", "-v -trimpath -tags=a,b,nocuda"},
		{"-tags=nocuda -trimpath=false", "0", "-trimpath=false -tags=nocuda"},
		{"-tags=a,nocuda -v", "1", "-v -trimpath -tags=a"},
		{"-tags=nocuda", "1", "-trimpath"},
		{"-v", "1", "-v -trimpath"},
	} {
		got, _ := s.passes([]string{"run", "--", "sh", "-c", "echo $GOFLAGS"}, "LIBTORCH="+s.libtorch, "CUDA="+c.cuda, "GOFLAGS="+c.flags)
		if strings.TrimSpace(got) != c.want {
			t.Errorf("%q with CUDA=%s: %q, want %q", c.flags, c.cuda, got, c.want)
		}
	}
}

// Each thing that is missing is named.
func TestMissing(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatal(err)
	}
	python := strings.TrimSpace(string(out))
	for _, c := range []struct{ without, instead, words string }{
		{"python3", "", "python3 is not installed"},
		{"python3", "exec " + python + ` -S "$@"`, "has no pip"}, // -S leaves out the folder of packages
		{"go", "", "go is not installed"},
		{"go", "printf 'go1.19.8\\n\\n1\\ngcc\\ng++\\n'", "is go1.19.8, and 1.26 is needed"},
		{"go", "echo no such flag >&2; exit 2", "is no such flag, and 1.26 is needed"},
		{"g++", "", "the compiler g++ is not installed"},
		{"gcc", "", "the compiler gcc is not installed"},
		{"g++", "echo no such standard >&2; exit 1", "g++ does not compile C++17 with OpenMP: no such standard"},
	} {
		bin := t.TempDir()
		for _, name := range []string{"dirname", "python3", "go", "gcc", "g++", "as", "ld"} {
			real, err := exec.LookPath(name)
			if err != nil {
				t.Fatal(err)
			}
			if name == "python3" {
				real = python
			}
			body := "exec " + real + ` "$@"`
			if name == c.without {
				if body = c.instead; body == "" {
					continue
				}
			}
			writeFile(t, filepath.Join(bin, name), []byte("#!/bin/sh\n"+body+"\n"))
		}
		s.fails(nil, c.words, "PATH="+bin, "CC=gcc", "CXX=g++")
	}
	s.fails(nil, "CGO_ENABLED=0 switches cgo off", "CGO_ENABLED=0")
	s.fails(nil, "CUDA=2 is neither 0 nor 1", "CUDA=2")
	s.fails(nil, "LIBJPEG=2 is none of 0, 1 and static", "LIBJPEG=2")
	s.fails(nil, "has a space", "HDAS_CACHE=/a b")
	s.fails(nil, "cannot be written", "HDAS_CACHE=/dev/null/hdas")
}

// libjpeg-turbo is the installed one, or else a static one of a wheel. Without either, JPEG is decoded in Go.
func TestLibjpeg(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	if exec.Command("python3", "-m", "pip", "--version").Run() != nil {
		t.Skip("python3 has no pip")
	}
	// A compiler for which libjpeg-turbo is or is not installed.
	compiler := func(answer string) string {
		file := filepath.Join(t.TempDir(), "cc")
		writeFile(t, file, []byte("#!/bin/sh\ncase \"$*\" in *-ljpeg*) grep -q jpeg_crop_scanline || exit 2; "+answer+";; esac\nexec gcc \"$@\"\n"))
		return file
	}
	with, without := compiler("exit 0"), compiler("exit 1")
	show := func(cc, asked string) (stdout, stderr string) {
		t.Helper()
		return s.passes([]string{"run", "--", "sh", "-c", "echo $GOFLAGS $C_INCLUDE_PATH $LIBRARY_PATH"}, "LIBTORCH="+s.libtorch,
			"LIBJPEG="+asked, "CC="+cc, "C_INCLUDE_PATH=", "LIBRARY_PATH=/mine")
	}
	check := func(cc, asked, want string) {
		t.Helper()
		if got, stderr := show(cc, asked); strings.TrimSpace(got) != want || strings.Contains(stderr, "JPEG") {
			t.Errorf("LIBJPEG=%s: %s, want %s\n%s", asked, got, want, stderr)
		}
	}
	const libjpeg = "comma-deps-libjpeg"
	const inGo, installed = "-trimpath -tags=nocuda /mine", "-trimpath -tags=nocuda,libjpeg /mine"
	check(with, "", installed)
	check(with, "1", installed)
	check(with, "0", inGo)

	// It cannot be downloaded: a line says so once, and the download is tried again only if it is asked for.
	fails := func() {
		t.Helper()
		if got, stderr := show(without, ""); strings.TrimSpace(got) != inGo || !strings.Contains(stderr, "neither installed nor downloaded, so JPEG is decoded in Go") {
			t.Errorf("no libjpeg-turbo: %s\n%s", got, stderr)
		}
	}
	fails()
	check(without, "", inGo)
	for _, asked := range []string{"1", "static"} {
		s.fails(nil, "could not download "+libjpeg, "LIBTORCH="+s.libtorch, "LIBJPEG="+asked, "CC="+without)
	}

	// A file that is not the pinned one is refused; the pinned one is unpacked, and then no wheel is needed.
	object := filepath.Join(t.TempDir(), "jpeg.o")
	archive := filepath.Join(filepath.Dir(object), "libjpeg.a")
	compile(t, object, "extern \"C\" { void jpeg_create_decompress(void *) {} void jpeg_crop_scanline(void *, int, int) {} }", "-c")
	if out, err := exec.Command("ar", "rc", archive, object).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	header := "#define LIBJPEG_TURBO_VERSION 3\nstruct jpeg_decompress_struct { int x; };\nvoid jpeg_create_decompress(void *);\nvoid jpeg_crop_scanline(void *, int, int);\n"
	const inside = "comma_deps_libjpeg-3.data/purelib/libjpeg/"
	pin := s.makeWheel(libjpeg, "3", "py312-none", map[string]string{inside + "__init__.py": "", inside + "install/include/jpeglib.h": header,
		inside + "install/lib/libjpeg.a": readFile(t, archive)})
	list := filepath.Join(s.dir, "libjpeg", "wheel.txt")
	hash, _, _ := strings.Cut(pin[strings.Index(pin, "sha256:")+len("sha256:"):], " ")
	writeFile(t, list, []byte(strings.Replace(pin, hash, strings.Repeat("0", len(hash)), 1)))
	fails()
	s.fails(nil, "is not the file that is pinned", "LIBTORCH="+s.libtorch, "LIBJPEG=static", "CC="+with)
	writeFile(t, list, []byte("# tiny\n"+pin))
	folder := filepath.Join(s.cache, "libjpeg-turbo-3")
	static := fmt.Sprintf("-trimpath -tags=nocuda,libjpeg,libjpeg_static %s/include %s/lib:/mine", folder, folder)
	check(without, "1", static)
	remove(t, filepath.Join(s.wheels, "comma_deps_libjpeg-3-py312-none-manylinux1_x86_64.whl"))
	check(without, "", static)
	check(with, "static", static)
	check(with, "", installed)
	if left, err := filepath.Glob(filepath.Join(s.cache, ".libjpeg*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	if _, stderr := s.passes(nil, "LIBTORCH="+s.libtorch, "LIBJPEG=static", "CC="+with); !strings.Contains(stderr, "JPEG is decoded by libjpeg-turbo in "+folder) {
		t.Errorf("setup says\n%s", stderr)
	}

	// One that cannot be linked is named.
	remove(t, filepath.Join(folder, "lib", "libjpeg.a"))
	s.fails(nil, "libjpeg.a cannot be linked", "LIBTORCH="+s.libtorch, "LIBJPEG=static", "CC="+without)
}

const versionHeader = "include/torch/csrc/api/include/torch/version.h"

// fakeLibtorch makes what the setup looks at in a libtorch: the version, c10::Error's constructor, which tells the C++ ABI,
// and an OpenMP runtime whose name inside is the system's.
func fakeLibtorch(t *testing.T, abi int, version string) string {
	t.Helper()
	dir := t.TempDir()
	lib := filepath.Join(dir, "lib")
	header := versionHeader
	if !strings.HasPrefix(version, "2.1.") { // newer ones have it elsewhere
		writeFile(t, filepath.Join(dir, header), []byte("#include <torch/headeronly/version.h>\n"))
		header = "include/torch/headeronly/version.h"
	}
	if version != "" {
		writeFile(t, filepath.Join(dir, header), fmt.Appendf(nil, "#define TORCH_VERSION \\\n  %q\n", version))
	}
	source := "#include <string>\nnamespace c10 { struct SourceLocation { int line; }; struct Error { Error(SourceLocation, std::string); }; Error::Error(SourceLocation, std::string) {} }"
	compile(t, filepath.Join(lib, "libc10.so"), source, fmt.Sprintf("-D_GLIBCXX_USE_CXX11_ABI=%d", abi))
	omp := filepath.Join(lib, "libgomp-a34b3233.so.1")
	source = "extern \"C\" void GOMP_barrier() {}"
	compile(t, omp, source)
	compile(t, filepath.Join(lib, "libtorch_cpu.so"), "extern \"C\" void GOMP_barrier(); void at() { GOMP_barrier(); }",
		"-L"+lib, "-l:"+filepath.Base(omp), "-Wl,-rpath,$ORIGIN")
	compile(t, omp, source, "-Wl,-soname,libgomp.so.1")
	return dir
}

// compile makes a shared library, or a program where the file's name has no ".so".
func compile(t *testing.T, file, source string, flags ...string) {
	t.Helper()
	args := []string{"-x", "c++", "-o", file, "-", "-x", "none"}
	if strings.Contains(filepath.Base(file), ".so") {
		args = append(args, "-shared", "-fPIC")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("g++", append(args, flags...)...)
	c.Stdin = strings.NewReader(source)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", c, err, out)
	}
}

func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o777); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	writeFile(t, to, []byte(readFile(t, from)))
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	copyFile(t, from, to)
	remove(t, from)
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
