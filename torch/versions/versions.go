// Package versions lists the versions of libtorch that the program supports.
package versions

import (
	_ "embed"
	"fmt"
	"strings"
)

// Version is a supported version of libtorch.
type Version struct {
	Number       string // such as 2.11.0; all of 2.11 are supported
	Standard     int    // the C++ standard of its headers, such as 17
	CUDA         string // the version of CUDA of its published wheel
	Driver       int    // the oldest NVIDIA driver, by its major version, that runs this CUDA
	Oldest       string // the lowest compute capability of a GPU that the wheel has code for
	Newest       string // the highest
	OldestPython string // the first Python, such as 3.8, for which PyTorch of this version is published
	NewestPython string // the last
	Passed       string // the day on which its tests and steps beside PyTorch passed
}

//go:embed versions.txt
var table string

// Supported holds the supported versions, the oldest first.
var Supported = parse(table)

func parse(table string) (all []Version) {
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var v Version
		var capability, python string
		if _, err := fmt.Sscan(line, &v.Number, &v.Standard, &v.CUDA, &v.Driver, &capability, &python, &v.Passed); err != nil {
			panic(fmt.Sprintf("versions.txt: %q: %v", line, err))
		}
		v.Oldest, v.Newest, _ = strings.Cut(capability, "-")
		v.OldestPython, v.NewestPython, _ = strings.Cut(python, "-")
		all = append(all, v)
	}
	return all
}

// Of returns the supported version with the major and minor number of a version such as 2.11.1+cu130.
func Of(version string) (Version, bool) {
	for _, v := range Supported {
		if release(v.Number) == release(version) {
			return v, true
		}
	}
	return Version{}, false
}

// Names returns the numbers of the supported versions, the oldest first, as in "2.1.2, 2.11.0".
func Names() string {
	var names []string
	for _, v := range Supported {
		names = append(names, v.Number)
	}
	return strings.Join(names, ", ")
}

// release returns the first two numbers of a version.
func release(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
