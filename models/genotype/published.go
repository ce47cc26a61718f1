package genotype

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Adding a published genotype is adding its file, whose name is the genotype's.
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
	return files
}

// errUnknown is the cause where a name is none of a published genotype.
var errUnknown = errors.New("unknown")

// Published is the genotype of that name; letter case and - or _ make no difference.
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

// nearest is the name that goes on as this one begins, or that takes the fewest changes of letters
// to get to, if these are few.
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

// distance is how many letters have to be inserted, removed or replaced to make b of a.
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

// Load is the published genotype of that name, that of a YAML file, or, of "CELLS+STAGES", the
// stages of the second over the cells of the first. A published name wins over a file, and a file
// whose name has a + over a combination.
func Load(nameOrFile string) (Genotype, error) { return LoadFrom(nameOrFile, read) }

// LoadFrom is Load with another reader of files.
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
	f, err := os.Open(file)
	if err != nil {
		return Genotype{}, err
	}
	defer f.Close()
	g, err := Decode(f)
	if err != nil {
		return Genotype{}, fmt.Errorf("%s: %w", file, err)
	}
	return g, nil
}

// split cuts "CELLS+STAGES" at the first + of which both sides are there, or else at the first that
// has two sides: a file's name may hold others.
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
