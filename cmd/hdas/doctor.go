package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"hdas/datasets"
	"hdas/internal/imagefile"
	"hdas/internal/proc"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/versions"
)

// health is the output of doctor.
type health struct {
	Libtorch string            `json:"libtorch"`
	Library  string            `json:"library"`  // path of the loaded library
	Versions string            `json:"versions"` // whether a newer libtorch is supported here, and how to use another
	Devices  []string          `json:"devices"`
	Computes map[string]string `json:"computes"` // by device: "passes", or what went wrong in a small computation on it
	CUDA     string            `json:"cuda"`
	Threads  int               `json:"threads"`
	CPUs     int               `json:"cpus"`
	MemoryGB float64           `json:"memory_gb"`
	FreeGB   float64           `json:"memory_available_gb"`
	Data     map[string]string `json:"data"` // by data set: "found", or what is missing and how to fix it
	DataDir  string            `json:"data_dir"`
	JPEG     string            `json:"jpeg"`    // the decoder of JPEG files
	Kernels  string            `json:"kernels"` // the instruction set that cells are computed with on the CPU
}

func (p *program) doctor() *cobra.Command {
	var dataDir, device string
	var threads int
	c := &cobra.Command{
		Use: "doctor", Short: "Check libtorch, devices and data sets, and say how to fix what is missing",
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			devices, err := devicesOf(device)
			if err != nil {
				return usageError{err}
			}
			h := health{Libtorch: torch.Version(), Library: proc.Library("libtorch_cpu.so"), Computes: map[string]string{}, CPUs: runtime.NumCPU(), Data: map[string]string{}, DataDir: datasets.Folder(dataDir)}
			h.MemoryGB, h.FreeGB = float64(proc.Machine("MemTotal"))/1e9, float64(proc.Machine("MemAvailable"))/1e9
			err = torch.Do(func(*torch.Scope) error {
				torch.SetThreads(threads)
				h.Threads, h.Kernels = torch.Threads(), torch.InstructionSet()
				return nil
			})
			if err != nil {
				return err
			}
			for _, d := range devices {
				h.Devices, h.Computes[d.String()] = append(h.Devices, d.String()), "passes"
				if err := computes(d); err != nil {
					h.Computes[d.String()] = err.Error()
				}
			}
			h.CUDA = cudaAdvice()
			h.Versions = versionAdvice(h.Libtorch, proc.NVIDIADriver(), inWheel())
			for _, name := range datasets.Names() {
				h.Data[name] = "found"
				if datasets.Own(name) {
					h.Data[name] = "your own images: use them with --set data.name=folder --data-dir DIR, and check them with hdas data check DIR"
				} else if err := datasets.Missing(name, h.DataDir); err != nil {
					h.Data[name] = err.Error()
				}
			}
			h.JPEG = imagefile.JPEGBy
			return p.print(h, h.write, step{command("demo"), "the paper's searches on embedded images, in minutes"})
		},
	}
	dataFlag(c.Flags(), &dataDir)
	machineFlags(c.Flags(), &device, &threads)
	c.Flags().Lookup("device").Usage = "the device to check: cpu, cuda or cuda:N; auto: all"
	return c
}

// devicesOf returns the device of that name; of auto, the CPU and all CUDA devices.
func devicesOf(name string) (list []torch.Device, err error) {
	if name != "auto" {
		d, err := run.Device(name)
		return []torch.Device{d}, err
	}
	for i := range torch.CUDADevices() + 1 {
		list = append(list, torch.Device(i))
	}
	return list, nil
}

// computes returns an error unless a small network on device d has the gradient that it has on the CPU in float64.
func computes(d torch.Device) error {
	gradient := func(o torch.Options) (g []float64) {
		torch.Within(func(*torch.Scope) {
			numbers := func(shape ...int64) torch.Tensor { // the same on every device
				v := make([]float64, shape[0]*shape[1]*shape[2]*shape[3])
				for i := range v {
					v[i] = float64(i*i%17)/16 - 0.5
				}
				return torch.FromFloat64(v, shape...).To(o.DType).ToDevice(o.Device)
			}
			w := numbers(8, 4, 3, 3).SetRequiresGrad(true)
			y := torch.Conv2d(numbers(2, 4, 9, 9), w, torch.Tensor{}, torch.ConvOptions{Padding: []int64{1}}).ReLU()
			y = torch.Linear(y.Reshape(16, 81), numbers(10, 81, 1, 1).Reshape(10, 81), torch.Tensor{}) // (16,10)
			g = torch.Grad(y.Mul(y).Sum(), []torch.Tensor{w})[0].Float64s()
		})
		return g
	}
	return torch.Do(func(*torch.Scope) error {
		torch.SetTF32(false)
		want := gradient(torch.Options{DType: torch.Float64})
		for _, dtype := range []torch.DType{torch.Float64, torch.Float32} {
			tolerance := map[torch.DType]float64{torch.Float64: 1e-12, torch.Float32: 1e-4}[dtype]
			for i, v := range gradient(torch.Options{DType: dtype, Device: d}) {
				if diff := math.Abs(v - want[i]); !(diff <= tolerance*max(1, math.Abs(want[i]))) {
					return fmt.Errorf("a gradient in %v is %v, not %v: the device or its driver computes wrongly", dtype, v, want[i])
				}
			}
		}
		return nil
	})
}

// cudaAdvice says whether CUDA can be used and, if not, why.
func cudaAdvice() string {
	if why := torch.NoCUDA(); why != "" {
		return why
	}
	return "found"
}

// inWheel reports whether the program was installed by pip, which puts its packages into site-packages.
func inWheel() bool {
	self, err := os.Executable()
	return err == nil && strings.Contains(self, "site-packages")
}

// versionAdvice says whether a libtorch is the newest supported one, what a newer one needs, and how another is used.
// driver is the version of the NVIDIA driver, empty if there is none.
func versionAdvice(libtorch, driver string, wheel bool) string {
	newest := versions.Supported[len(versions.Supported)-1]
	mine, ok := versions.Of(libtorch)
	var state string
	switch {
	case !ok:
		state = "not a supported version"
	case mine == newest:
		state = "the newest supported version"
	default:
		state = newest.Number + " is supported, too"
		if driver != "" {
			state += fmt.Sprintf("; on GPUs it needs the NVIDIA driver %d, which here is %s, and compute capability %s to %s", newest.Driver, driver, newest.Oldest, newest.Newest)
		}
	}
	if wheel {
		return fmt.Sprintf("%s; of %s, another is used by the wheel that was made for it", state, versions.Names())
	}
	return fmt.Sprintf("%s; of %s, make LIBTORCH=VERSION uses another, make LIBTORCH=python the installed PyTorch's", state, versions.Names())
}

func (h health) write(w io.Writer) {
	fmt.Fprintf(w, "libtorch  %s (%s)\n", h.Libtorch, h.Library)
	fmt.Fprintf(w, "          %s\n", h.Versions)
	for i, d := range h.Devices {
		fmt.Fprintf(w, "%-9s %s: %s\n", map[bool]string{true: "devices"}[i == 0], d, h.Computes[d])
	}
	fmt.Fprintf(w, "CUDA      %s\n", h.CUDA)
	fmt.Fprintf(w, "threads   %d of %d CPUs\n", h.Threads, h.CPUs)
	fmt.Fprintf(w, "memory    %.1f GB, %.1f available\n", h.MemoryGB, h.FreeGB)
	fmt.Fprintf(w, "kernels   %s\n", h.Kernels)
	fmt.Fprintf(w, "JPEG by   %s\n", h.JPEG)
	fmt.Fprintf(w, "data in   %s\n", h.DataDir)
	for _, name := range datasets.Names() {
		fmt.Fprintf(w, "  %-9s %s\n", name, strings.ReplaceAll(h.Data[name], "\n", "\n            "))
	}
}
