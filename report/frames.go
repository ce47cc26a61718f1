package report

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"html/template"

	"hdas/draw"
	"hdas/models/genotype"
)

// frames are the drawings of the genotypes of all epochs. The page's script shows the one that a slider selects.
type frames struct {
	Last    template.HTML // the drawing that is seen without the script
	Epochs  []int         // of the records that have a genotype
	Packed  string        // base64 (URL) of the gzip of {"at": indices of drawings, one for each epoch, "svg": drawings}; empty if there is but one
	Changes int           // number of epochs whose genotype is another one than that of the epoch before
}

// Newest returns the index of the last epoch.
func (f frames) Newest() int { return len(f.Epochs) - 1 }

// LastEpoch returns the last epoch.
func (f frames) LastEpoch() int { return f.Epochs[f.Newest()] }

// drawings returns the drawings of a run: of the genotypes of its epochs, or of its only one.
func drawings(h history, only *genotype.Genotype) (f frames, err error) {
	var packed struct {
		At  []int    `json:"at"`
		SVG []string `json:"svg"`
	}
	known, drawer := map[string]int{}, new(draw.Drawer)
	for i, epoch := range h.epochs {
		g := h.genotypeAt(i)
		if g == nil {
			continue
		}
		at, drawn := known[h.found[i]]
		if !drawn {
			svg, err := drawing(drawer, *g)
			if err != nil {
				continue // it has more edges than a drawing
			}
			at = len(packed.SVG)
			known[h.found[i]], packed.SVG = at, append(packed.SVG, svg)
		}
		if n := len(packed.At); n > 0 && packed.At[n-1] != at {
			f.Changes++
		}
		f.Epochs, packed.At = append(f.Epochs, epoch), append(packed.At, at)
	}
	switch n := len(packed.At); {
	case n > 0:
		f.Last = template.HTML(packed.SVG[packed.At[n-1]])
	case only != nil:
		if svg, err := drawing(drawer, *only); err == nil {
			f.Last = template.HTML(svg)
		}
	}
	if len(packed.SVG) < 2 {
		return f, nil
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return f, err
	}
	if err := json.NewEncoder(z).Encode(packed); err != nil {
		return f, err
	}
	if err := z.Close(); err != nil {
		return f, err
	}
	f.Packed = base64.RawURLEncoding.EncodeToString(b.Bytes())
	return f, nil
}

func drawing(d *draw.Drawer, g genotype.Genotype) (string, error) {
	var b bytes.Buffer
	err := d.Genotype(&b, g)
	return b.String(), err
}
