package genotype

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"hdas/internal/filekind"
	"hdas/setting"
)

// To add a published genotype, add a file with the name of the genotype.
//
//go:embed published/*.yaml
var published embed.FS

// Names returns the names of the published genotypes, sorted.
func Names() []string {
	files, err := fs.Glob(published, "published/*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(strings.TrimPrefix(f, "published/"), ".yaml")
	}
	return files
}

// unknownError is the error for a name that no published genotype has.
type unknownError struct {
	name   string
	known  []string
	noFile bool // nor is it a file
}

// Error lists the known names if none of them is similar.
func (e *unknownError) Error() string {
	text := fmt.Sprintf("genotype %.200q is unknown", e.name)
	if e.noFile {
		text += ": none is published under this name, and there is no such file"
	}
	if hint := setting.Meant(e.name, e.known); hint != "" {
		return text + hint
	}
	return text + "; known are " + strings.Join(e.known, ", ")
}

// Published returns the published genotype with the given name. It ignores letter case and does not
// distinguish - and _. For an unknown name it returns an error that lists the known ones.
func Published(name string) (Genotype, error) {
	known := Names()
	for _, n := range known {
		if setting.Plain(n) == setting.Plain(name) {
			f, err := published.Open("published/" + n + ".yaml")
			if err != nil {
				return Genotype{}, err
			}
			defer f.Close()
			return Decode(f)
		}
	}
	return Genotype{}, &unknownError{name: name, known: known}
}

// Load returns the published genotype with that name, the genotype in the YAML file with that name, or,
// for "CELLS+STAGES", the combination of two genotypes (see Combine), each of which is a name or a
// file. A published name takes precedence over a file, and a file whose name has a + over a combination.
func Load(nameOrFile string) (Genotype, error) { return LoadFrom(nameOrFile, read) }

// LoadFrom is like Load, but files are read by the given function.
func LoadFrom(nameOrFile string, read func(file string) (Genotype, error)) (Genotype, error) {
	g, err := Published(nameOrFile)
	var unknown *unknownError
	if !errors.As(err, &unknown) {
		return g, err
	}
	g, err = read(nameOrFile)
	if !errors.Is(err, fs.ErrNotExist) {
		return g, err
	}
	if cells, stages, ok := split(nameOrFile); ok {
		c, cerr := LoadFrom(cells, read)
		s, serr := LoadFrom(stages, read)
		if err := errors.Join(cerr, serr); err != nil {
			return Genotype{}, err
		}
		return Combine(c, s)
	}
	unknown.noFile = true
	return Genotype{}, unknown
}

func read(file string) (Genotype, error) {
	data, err := filekind.Read(file, MostFile)
	if err != nil {
		return Genotype{}, err
	}
	g, err := Decode(bytes.NewReader(data))
	if err != nil {
		return Genotype{}, fmt.Errorf("%s: %w", file, err)
	}
	return g, nil
}

// split cuts "CELLS+STAGES" at the first + for which both sides exist, else at the first + with a text
// on both sides. File names may contain other + signs.
func split(s string) (cells, stages string, ok bool) {
	there := func(name string) bool {
		if _, err := Published(name); err == nil {
			return true
		}
		_, err := os.Stat(name)
		return err == nil
	}
	for i, c := range s {
		if c != '+' || i == 0 || i == len(s)-1 {
			continue
		}
		a, b := s[:i], s[i+1:]
		if there(a) && there(b) {
			return a, b, true
		}
		if !ok {
			cells, stages, ok = a, b, true
		}
	}
	return cells, stages, ok
}
