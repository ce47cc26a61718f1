//go:build ignore

// Generate writes published genotypes as YAML files into a folder. It reads them from a JSON file that
// holds them in the form of their authors' programs or figures:
//
//	go run models/genotype/published/generate.go models/genotype/published/genotypes.json models/genotype/published [NAME...]
//
// Without names it writes all of them. Edges keep the published order, because the names of parameters
// depend on it. Reported results are written by hand; Generate keeps those of an existing file.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hdas/models/genotype"
	"hdas/models/genotype/text"
)

// entry is a genotype in the JSON file: its DAGs, as lists in Python's form, their outputs under
// KEY_concat, and other keys.
type entry map[string]json.RawMessage

type source struct{ Repo, Path, Commit, Figure string }

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: generate FILE.json FOLDER [NAME...]")
		os.Exit(2)
	}
	if err := generate(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(file, folder string, names []string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var all struct {
		Genotypes map[string]entry
		Figures   map[string]json.RawMessage `json:"hdas_figures"` // one of them is a note, not a genotype
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for name, figure := range all.Figures {
		var e entry
		if json.Unmarshal(figure, &e) == nil {
			all.Genotypes[name] = e
		}
	}
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(all.Genotypes))
	}
	for _, name := range names {
		e, ok := all.Genotypes[name]
		if !ok {
			return fmt.Errorf("%s holds no genotype %q", file, name)
		}
		g, err := convert(name, e)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		var yaml bytes.Buffer
		if err := errors.Join(g.Validate(genotype.Ops{}), g.Encode(&yaml)); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name+".yaml"), yaml.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func convert(name string, e entry) (genotype.Genotype, error) {
	var s source
	if err := json.Unmarshal(e["source"], &s); err != nil {
		return genotype.Genotype{}, fmt.Errorf("source: %w", err)
	}
	var arguments []string
	for key, value := range e {
		if dag := strings.TrimSuffix(key, "_concat"); e[dag+"_concat"] != nil {
			arguments = append(arguments, fmt.Sprintf("%s=%s", key, value))
		}
	}
	slices.Sort(arguments)
	notation := fmt.Sprintf("Genotype(%s)", strings.Join(arguments, ",\n"))
	g, err := text.Parse(strings.NewReader(notation), name, text.Known{})
	if err != nil {
		return g, err
	}
	g.Source = fmt.Sprintf("%s %s @ %.12s", s.Repo, s.Path, s.Commit)
	if s.Figure != "" {
		g.Source = fmt.Sprintf("%s %s @ %.12s, transcribed by eye", s.Repo, s.Figure, s.Commit)
	}
	if old, err := genotype.Published(name); err == nil {
		g.Reported = old.Reported
	}
	return g, nil
}
