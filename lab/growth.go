package lab

import (
	"encoding/json"
	"fmt"
	"strings"

	"hdas/draw"
	"hdas/models/genotype"
	"hdas/run"
)

// Seconds of the animation of a search: of an epoch, unless all would take longer than the most, and of the last genotype
// besides.
const (
	epochSeconds, mostSeconds, lastSeconds = 0.5, 30, 2
)

// Growth returns the genotypes of the epochs of a search, a frame for each that differs from the one before.
func Growth(folder string) (frames []draw.Frame, err error) {
	seen, err := run.Look(folder)
	if err != nil {
		return nil, err
	}
	type span struct {
		text     string // the genotype as YAML
		from, to int    // epochs
		epochs   int
	}
	var spans []span
	all := 0
	for _, line := range seen.Records {
		var e struct {
			Epoch    int
			Genotype string
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("record %.60q: %w", line, err)
		}
		if e.Genotype == "" {
			continue
		}
		if n := len(spans); n == 0 || spans[n-1].text != e.Genotype {
			spans = append(spans, span{text: e.Genotype, from: e.Epoch})
		}
		last := &spans[len(spans)-1]
		last.to = e.Epoch
		last.epochs++
		all++
	}
	if len(spans) == 0 {
		return nil, fmt.Errorf("%s has no epoch with a genotype; the epochs of a search have", folder)
	}
	for _, s := range spans {
		g, err := genotype.Decode(strings.NewReader(s.text))
		if err != nil {
			return nil, fmt.Errorf("the genotype of epoch %d: %w", s.from, err)
		}
		note := fmt.Sprintf("epoch %d of %d", s.from, spans[len(spans)-1].to)
		if s.to > s.from {
			note = fmt.Sprintf("epochs %d to %d of %d", s.from, s.to, spans[len(spans)-1].to)
		}
		frames = append(frames, draw.Frame{Genotype: g, Note: note, Seconds: float64(s.epochs) * min(epochSeconds, mostSeconds/float64(all))})
	}
	frames[len(frames)-1].Seconds += lastSeconds
	return frames, nil
}
