package text

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"hdas/internal/filekind"
	"hdas/models/genotype"
)

// maxFile is the most bytes of a file that Load reads.
const maxFile = 1 << 20

// Load returns the genotype that a name means, as genotype.Load does. Besides published names and YAML
// it takes a text in the notation itself, and files that hold one.
func Load(name string) (genotype.Genotype, error) {
	if isNotation(name) || nasBench201.MatchString(name) {
		return Parse(strings.NewReader(name), "given", Known{})
	}
	return genotype.LoadFrom(name, loadFile)
}

// loadFile reads a file of YAML or of the notation.
func loadFile(file string) (genotype.Genotype, error) {
	data, err := filekind.Read(file, maxFile)
	if err != nil {
		return genotype.Genotype{}, err
	}
	stem := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	var g genotype.Genotype
	if isNotation(string(data)) || nasBench201.Match(data) {
		g, err = Parse(bytes.NewReader(data), stem, Known{})
	} else {
		g, err = genotype.Decode(bytes.NewReader(data))
	}
	if err != nil {
		return g, fmt.Errorf("%s: %w", file, err)
	}
	return g, nil
}

var (
	call = regexp.MustCompile(`\bGenotype[0-9]?[ \t]*\(`)
	// yamlKey begins a line of a genotype's YAML, where a call may stand in a text.
	yamlKey = regexp.MustCompile(`(?m)^(version|name|source|cells|stages):`)
	// nasBench201 is the beginning of a cell as NAS-Bench-201 writes it.
	nasBench201 = regexp.MustCompile(`\|[a-z_0-9]+~[0-9]+\|`)
	// logged is what a logger writes before a genotype on its line: the time or a level, and more.
	logged = regexp.MustCompile(`^[^\n'"(]*?(?:[0-9]{1,2}:[0-9]{2}|\b(?:DEBUG|INFO|WARNING|ERROR)\b|\b[Gg]enotype[ \t]*:)[^\n]*?` +
		`((?:[A-Za-z_][A-Za-z0-9_]*[ \t]*=[ \t]*)?(?:[A-Za-z_][A-Za-z0-9_.]*\.)?Genotype[0-9]?[ \t]*\()`)
)

// isNotation reports whether a text is a genotype in the notation, well-formed or not.
func isNotation(s string) bool { return call.MatchString(s) && !yamlKey.MatchString(s) }

var errNASBench201 = errors.New("this is a cell of NAS-Bench-201, another search space: its cells have one input and operations on every edge, and no network here is made of them; " +
	"this program reads genotypes of DARTS' space, Genotype(normal=[...], ...), and YAML")

// skipLog passes over what a logger wrote before the genotype.
func (l *lexer) skipLog() {
	l.space()
	if m := logged.FindStringSubmatchIndex(l.rest); m != nil {
		l.take(m[2])
	}
}
