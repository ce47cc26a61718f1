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

// errUnknown is the cause of the error for a name that no published genotype has.
var errUnknown = errors.New("unknown")

// Published returns the published genotype with the given name. It ignores letter case and does not
// distinguish - and _. For an unknown name it returns an error that lists the known ones.
func Published(name string) (Genotype, error) {
	known := Names()
	for _, n := range known {
		if plainName(n) == plainName(name) {
			f, err := published.Open("published/" + n + ".yaml")
			if err != nil {
				return Genotype{}, err
			}
			defer f.Close()
			return Decode(f)
		}
	}
	hint := ""
	if n, ok := nearest(name, known); ok {
		hint = fmt.Sprintf("; did you mean %s?", n)
	}
	return Genotype{}, fmt.Errorf("genotype %q is %w%s; known are %s", name, errUnknown, hint, strings.Join(known, ", "))
}

func plainName(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// nearest returns the known name that begins with the given one, or else the one with the smallest edit
// distance. ok is false if even that is too different.
func nearest(name string, known []string) (best string, ok bool) {
	least := 1 + len(name)/3
	for _, n := range known {
		if name != "" && strings.HasPrefix(plainName(n), plainName(name)) {
			return n, true
		}
		if d := distance(plainName(name), plainName(n)); d <= least && (d < least || !ok) {
			best, ok, least = n, true, d
		}
	}
	return best, ok
}

// distance returns the Levenshtein distance of a and b: the number of letters to insert, remove or
// replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Load returns the published genotype with that name, the genotype in the YAML file with that name, or,
// for "CELLS+STAGES", the combination of two genotypes (see Combine), each of which is a name or a
// file. A published name takes precedence over a file, and a file whose name has a + over a combination.
func Load(nameOrFile string) (Genotype, error) { return LoadFrom(nameOrFile, read) }

// LoadFrom is like Load, but files are read by the given function.
func LoadFrom(nameOrFile string, read func(file string) (Genotype, error)) (Genotype, error) {
	g, unknown := Published(nameOrFile)
	if !errors.Is(unknown, errUnknown) {
		return g, unknown
	}
	g, err := read(nameOrFile)
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
	return Genotype{}, fmt.Errorf("%w; and there is no such file", unknown)
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
