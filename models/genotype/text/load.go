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

// Load is like genotype.Load, but name may also be a genotype in the notation of DARTS, and files may contain one
// instead of YAML.
func Load(name string) (genotype.Genotype, error) {
	if isNotation(name) || nasBench201.MatchString(name) {
		return Parse(strings.NewReader(name), "given", Known{})
	}
	return genotype.LoadFrom(name, loadFile)
}

// loadFile reads a genotype from a file in YAML or in the notation of DARTS.
func loadFile(file string) (genotype.Genotype, error) {
	data, err := filekind.ReadText(file, genotype.MostFile)
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
	// yamlKey matches a line of YAML, whose texts may contain a call.
	yamlKey = regexp.MustCompile(`(?m)^(version|name|source|cells|stages):`)
	// nasBench201 matches an edge of a cell in the notation of NAS-Bench-201.
	nasBench201 = regexp.MustCompile(`\|[a-z_0-9]+~[0-9]+\|`)
	// logged matches what a logger writes before a genotype on its line, which contains the time or a level.
	logged = regexp.MustCompile(`^[^\n'"(]*?(?:[0-9]{1,2}:[0-9]{2}|\b(?:DEBUG|INFO|WARNING|ERROR)\b|\b[Gg]enotype[ \t]*:)[^\n]*?` +
		`((?:[A-Za-z_][A-Za-z0-9_]*[ \t]*=[ \t]*)?(?:[A-Za-z_][A-Za-z0-9_.]*\.)?Genotype[0-9]?[ \t]*\()`)
)

// isNotation reports whether a text looks like a genotype in the notation of DARTS. It may have errors.
func isNotation(s string) bool { return call.MatchString(s) && !yamlKey.MatchString(s) }

var errNASBench201 = errors.New("this is a cell of NAS-Bench-201, another search space: its cells have one input and operations on every edge, and no network here is made of them; " +
	"this program reads genotypes of DARTS' space, Genotype(normal=[...], ...), and YAML")

// skipLog skips what a logger wrote before the genotype.
func (l *lexer) skipLog() {
	l.space()
	if m := logged.FindStringSubmatchIndex(l.rest); m != nil {
		l.take(m[2])
	}
}
