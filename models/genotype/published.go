package genotype

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Adding a published genotype is adding its file.
//
//go:embed published/*.yaml
var published embed.FS

// Names are the published genotypes, sorted.
func Names() []string {
	files, err := fs.Glob(published, "published/*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "published/"), ".yaml")
	}
	slices.Sort(files)
	return files
}

// Published is the genotype of that name; letter case and - or _ make no difference.
func Published(name string) (Genotype, error) {
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }
	for _, known := range Names() {
		if plain(known) == plain(name) {
			f, err := published.Open("published/" + known + ".yaml")
			if err != nil {
				return Genotype{}, err
			}
			defer f.Close()
			return Decode(f)
		}
	}
	return Genotype{}, fmt.Errorf("genotype %q is unknown; known are %s", name, strings.Join(Names(), ", "))
}

// Load is the published genotype of that name, that of a YAML file, or, of "CELLS+STAGES", the
// stages of the second over the cells of the first.
func Load(nameOrFile string) (Genotype, error) {
	g, err := Published(nameOrFile)
	if err == nil {
		return g, nil
	}
	f, ferr := os.Open(nameOrFile)
	if ferr == nil {
		defer f.Close()
		if g, err = Decode(f); err != nil {
			return g, fmt.Errorf("%s: %w", nameOrFile, err)
		}
		return g, nil
	}
	if cells, stages, both := strings.Cut(nameOrFile, "+"); both && errors.Is(ferr, fs.ErrNotExist) {
		c, cerr := Load(cells)
		s, serr := Load(stages)
		if err := errors.Join(cerr, serr); err != nil {
			return Genotype{}, err
		}
		return Combine(c, s)
	}
	if !errors.Is(ferr, fs.ErrNotExist) {
		return Genotype{}, ferr
	}
	return Genotype{}, fmt.Errorf("%w; and there is no such file", err)
}
