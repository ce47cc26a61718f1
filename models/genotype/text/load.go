package text

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

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
	data, err := readFile(file)
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

// readFile reads a file of at most maxFile bytes. A folder or a device is an error; a pipe is read, as
// a shell's <(COMMAND) is one.
func readFile(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe that nobody writes is empty, not waited for
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); !mode.IsRegular() && mode&os.ModeNamedPipe == 0 {
		return nil, fmt.Errorf("%s is no file with a genotype", file)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes, so no genotype; of a log, give the line with the genotype alone", file, maxFile)
	}
	return data, err
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
