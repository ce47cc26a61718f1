package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"hdas/draw"
	"hdas/internal/filekind"
	"hdas/internal/tfevents"
	"hdas/models/genotype"
)

// Mixture holds the probabilities of the candidate operations of a DAG.
type Mixture struct {
	DAG           string
	Operations    []string
	Probabilities [][]float64 // a row for each edge, a column for each operation
}

// Mixed is a record that has mixtures besides the fields that are stored.
type Mixed interface{ Mixtures() []Mixture }

// Shown is a number that TensorBoard shows.
type Shown struct {
	Tag   string
	Value float64
}

// The tags of the seconds since the record before, or since the run began, without those between its processes; and of the
// images that are computed in a second.
const (
	secondsTag = "time/epoch_seconds"
	imagesTag  = "time/images_per_second"
)

// writeEvents adds the record of an epoch, in the order of its fields, to the events for TensorBoard. Events of the
// same and of later epochs, which a run that was resumed from an earlier checkpoint may find, are removed, and epochs
// before it that are missing are added from their records.
func (d *Dir) writeEvents(before func() ([][]byte, error), at int, fields []field, record any, shown []Shown) error {
	path, now := d.Path(eventsFile), time.Now()
	stamp := float64(now.UnixMicro()) / 1e6
	info, err := os.Stat(path)
	var file []byte // what is added
	if d.events == 0 || err != nil || info.Size() != d.events {
		kept, last, err := eventsBefore(path, at)
		if err != nil {
			return err
		}
		if d.events = kept; kept == 0 {
			file = d.firstEvents(stamp)
		} else if err := os.Truncate(path, kept); err != nil {
			return err
		}
		lines, err := before()
		if err != nil {
			return err
		}
		for _, l := range lines {
			n, _ := epochOf(l)
			f, err := fieldsOf(l)
			if err != nil {
				return err
			}
			if d.drawn = genotypeOf(f); int64(n) > last {
				file = appendEvents(file, stamp, n, f, nil)
			}
		}
	}
	more := []tfevents.Value{tfevents.Scalar(secondsTag, now.Sub(d.since).Seconds())}
	for _, s := range shown {
		more = append(more, tfevents.Scalar(s.Tag, s.Value))
	}
	if m, ok := record.(Mixed); ok {
		for _, x := range m.Mixtures() {
			about := fmt.Sprintf("Probabilities of operations: a row for each edge, columns %s; white is 0, dark blue is 1.", strings.Join(x.Operations, ", "))
			more = append(more, tfevents.Image("softmax/"+x.DAG, about, draw.Heat(x.Probabilities)))
		}
	}
	picture, err := d.picture(genotypeOf(fields))
	if err != nil {
		return err
	}
	file = appendEvents(file, stamp, at, fields, append(more, picture...))
	was := d.events
	d.since, d.events = now, was+int64(len(file))
	if was == 0 {
		return d.WriteFile(eventsFile, file)
	}
	return appendTo(path, was, file)
}

// picture returns the drawing of the genotype of a record, nothing if it is that of the record before.
func (d *Dir) picture(text string) ([]tfevents.Value, error) {
	if text == "" || text == d.drawn {
		return nil, nil
	}
	g, err := genotype.Decode(strings.NewReader(text))
	if err != nil {
		return nil, nil // another text
	}
	picture, err := d.drawer.Picture(g)
	if err != nil {
		return nil, err
	}
	d.drawn = text
	return []tfevents.Value{tfevents.Image("drawing/genotype", "The genotype of the epoch; it is there where it has changed.", picture)}, nil
}

// genotypeOf returns the text of the genotype in a record, empty if it has none.
func genotypeOf(record []field) (text string) {
	for _, f := range record {
		if slices.Equal(f.path, []string{"genotype"}) && json.Unmarshal(f.value, &text) != nil {
			return ""
		}
	}
	return text
}

// eventsBefore returns the size of the part of a file of events before those of an epoch, and the last step in it.
func eventsBefore(path string, epoch int) (size, last int64, err error) {
	file, err := filekind.Read(path, mostRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	} else if err != nil {
		return 0, 0, err
	}
	for _, e := range tfevents.Read(file) {
		if e.Step >= int64(epoch) {
			break
		}
		size, last = e.End, e.Step
	}
	return size, last, nil
}

// firstEvents returns the start of the file of events, with the configuration at step 0, as a text and as
// hyperparameters.
func (d *Dir) firstEvents(stamp float64) []byte {
	file := tfevents.Begin(stamp)
	config, err := filekind.Read(d.Path(ConfigFile), mostRecord)
	if err != nil {
		return file // there is none yet
	}
	values := []tfevents.Value{tfevents.Text("config", fenced(config))}
	var tree map[string]any
	if yaml.Unmarshal(config, &tree) == nil {
		values = append(values, tfevents.Hyperparameters(flat(tree), stamp))
	}
	return tfevents.Append(file, stamp, 0, values)
}

// flat returns the settings of a configuration by their keys, joined by dots. A list is a text.
func flat(tree map[string]any) map[string]any {
	out := map[string]any{}
	for key, v := range tree {
		switch v := v.(type) {
		case map[string]any:
			for inner, v := range flat(v) {
				out[key+"."+inner] = v
			}
		case bool, string:
			out[key] = v
		case int:
			out[key] = float64(v)
		case uint64:
			out[key] = float64(v)
		case float64:
			out[key] = v
		default:
			out[key] = fmt.Sprint(v)
		}
	}
	return out
}

// fenced returns a text that Markdown leaves as it is.
func fenced(text []byte) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    ")
}

// appendEvents appends an event with the fields of a record: numbers as scalars, lists of numbers as histograms, and
// texts. The tag is the keys of the field, joined by slashes.
func appendEvents(file []byte, stamp float64, step int, record []field, more []tfevents.Value) []byte {
	var values []tfevents.Value
	for _, f := range record {
		tag := strings.Join(f.path, "/")
		if name := f.path[len(f.path)-1]; tag == "epoch" || name == "samples" {
			continue // the step, and what is the same in all epochs
		}
		if f.truth() {
			continue // whether the epoch is the best so far, which the curves show
		}
		var text string
		var numbers []float64
		if v, ok := f.number(); ok {
			values = append(values, tfevents.Scalar(tag, v))
		} else if json.Unmarshal(f.value, &numbers) == nil && len(numbers) > 0 {
			tag = strings.ReplaceAll(strings.TrimPrefix(tag, "alpha/"), ".", "/") // the names of parameters begin with their kind
			values = append(values, tfevents.Histogram(tag, numbers))
		} else if json.Unmarshal(f.value, &text) == nil && text != "" {
			values = append(values, tfevents.Text(tag, fenced([]byte(text))))
		}
	}
	return tfevents.Append(file, stamp, int64(step), append(values, more...))
}
