package configs

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"hdas/internal/filekind"
)

// To add a built-in configuration, add its file to this folder.
//
//go:embed *.yaml
var builtin embed.FS

// Names returns the names of the built-in configurations.
func Names() []string {
	files, err := fs.Glob(builtin, "*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".yaml")
	}
	return files
}

// mostFile is the largest size of a configuration file in bytes.
const mostFile = 1 << 20

func read(nameOrFile string) ([]byte, error) {
	if slices.Contains(Names(), nameOrFile) {
		return builtin.ReadFile(nameOrFile + ".yaml")
	}
	text, err := filekind.Read(nameOrFile, mostFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("configuration %q is neither built in (%s) nor a file", nameOrFile, strings.Join(Names(), ", "))
	}
	return text, err
}
