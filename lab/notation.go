package lab

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"hdas/internal/filekind"
	"hdas/models/genotype"
	"hdas/models/genotype/text"
	"hdas/models/ops"
)

// ImportGenotype returns the genotype of a file in the notation of quark0/darts; the file "-" means in.
// If name is not empty, it becomes the name of the genotype.
func ImportGenotype(in io.Reader, file, name string) (g genotype.Genotype, err error) {
	stem, source := "", "standard input"
	if file != "-" {
		data, err := filekind.Read(file, genotype.MostFile)
		if err != nil {
			return g, err
		}
		in, source = bytes.NewReader(data), filepath.Base(file)
		stem = strings.TrimSuffix(source, filepath.Ext(source))
	}
	if g, err = text.Parse(in, cmp.Or(stem, "imported"), text.Known{Cell: ops.Names(), Stage: ops.Stage}); err != nil {
		return g, fmt.Errorf("%s: %w", source, err)
	}
	if name != "" {
		g.Name = name
	}
	g.Source = "text in " + source
	return g, g.Validate(genotype.Ops{})
}
