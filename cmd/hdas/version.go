package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"hdas/torch"
)

// build is the output of --version.
type build struct {
	Commit       string `json:"commit"`  // "unknown" if the program was not built in a checkout
	Date         string `json:"date"`    // of the commit; empty if unknown
	Changed      bool   `json:"changed"` // the source had changes that were not committed
	Go           string `json:"go"`
	Libtorch     string `json:"libtorch"`
	CUDA         string `json:"cuda"`         // "N devices", or why there are none
	Instructions string `json:"instructions"` // of the kernels and of libtorch
}

// sourceOf returns the commit that the program was built from.
func sourceOf() (b build) {
	b.Commit = "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Changed = s.Value == "true"
		}
	}
	return b
}

func (p *program) version() error {
	b := sourceOf()
	b.Go, b.Libtorch = runtime.Version(), torch.Version()
	if b.CUDA = torch.NoCUDA(); b.CUDA == "" {
		b.CUDA = fmt.Sprintf("%d devices", torch.CUDADevices())
	}
	err := torch.Do(func(*torch.Scope) error {
		b.Instructions = torch.Instructions()
		return nil
	})
	if err != nil {
		return err
	}
	return p.print(b, func(w io.Writer) {
		source := b.Commit[:min(12, len(b.Commit))]
		if b.Date != "" {
			source += ", " + b.Date
		}
		if b.Changed {
			source += ", with changes"
		}
		fmt.Fprintf(w, "hdas          commit %s, %s\nlibtorch      %s\nCUDA          %s\ninstructions  %s\n", source, b.Go, b.Libtorch, b.CUDA, b.Instructions)
	})
}
