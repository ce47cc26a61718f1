package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"hdas/internal/filekind"
)

// Basis is what a run was begun with. Differences says which of it must be the same when the run is
// resumed, which may change, and which is only recorded.
type Basis struct {
	Config  string                       `json:"config,omitempty"` // the resolved configuration; a checkpoint has it in its Meta
	Classes []string                     `json:"classes"`
	Data    map[string]Part              `json:"data"`            // by the name of the part
	Cuts    map[string]map[string]uint64 `json:"cuts,omitempty"`  // the hashes at which data was cut in parts, by what was cut and by class
	Start   string                       `json:"start,omitempty"` // digest of the checkpoint that it started from

	Machine           // with which it was begun
	Later   []Machine `json:"later,omitempty"` // with which it was continued, each that differs from the one before
	DataDir string    `json:"data_dir,omitempty"`
}

// Machine is what a run computes with. Another one rounds sums differently.
type Machine struct {
	Device       string `json:"device,omitempty"`
	Threads      int    `json:"threads,omitempty"`
	Libtorch     string `json:"libtorch,omitempty"`     // its version
	Instructions string `json:"instructions,omitempty"` // the instruction sets of the processor that are used; empty if unknown
	CUDA         string `json:"cuda,omitempty"`         // what is switched on and off for a CUDA device; empty for the CPU
}

// Last returns the machine with which the run was computed last.
func (b Basis) Last() Machine {
	if n := len(b.Later); n > 0 {
		return b.Later[n-1]
	}
	return b.Machine
}

// changes returns how m differs from the machine of before, as far as both are known.
func (m Machine) changes(before Machine) (texts []string) {
	for _, r := range []struct {
		format  string // of the value now
		was, is any
	}{{"the device %v", before.Device, m.Device}, {"%v threads", before.Threads, m.Threads}, {"libtorch %v", before.Libtorch, m.Libtorch},
		{"the instruction set %v", before.Instructions, m.Instructions}, {"CUDA with %v", before.CUDA, m.CUDA}} {
		if r.was != r.is && !reflect.ValueOf(r.was).IsZero() && !reflect.ValueOf(r.is).IsZero() {
			texts = append(texts, fmt.Sprintf(r.format+" instead of %v", r.is, r.was))
		}
	}
	return texts
}

// Part is what a part of the data held.
type Part struct {
	Images int              `json:"images"`
	Counts []int            `json:"counts"`          // by class
	Digest string           `json:"digest"`          // of all that is compared
	Files  map[string]int64 `json:"files,omitempty"` // sizes by path, of files whose names are known; only in the run's folder
}

// Rule says whether a run may be resumed although something is not as it was when the run began.
type Rule int

const (
	MustMatch Rule = iota // never: its results would have no meaning
	MayChange             // only if the user accepts that its results have another meaning
	Noted                 // always; the user is told, because the numbers are rounded differently
	Recorded              // always: it is recorded, and has no effect or a known one
)

// Difference is one thing that is not as it was when a run began.
type Difference struct {
	Rule Rule
	Text string // its state now and when the run began
}

// free lists the settings that may be changed before a run is resumed.
var free = []string{"device", "cuda.deterministic", "cuda.benchmark", "cuda.grouped", "cuda.graphs", "threads", "data.dir", "data.workers", "data.damaged", "search.checkpoint_steps", "train.checkpoint_steps", "search.recompute", "train.recompute"}

// Differences returns how now differs from b, the basis of a run. Parts of the data and settings that only
// one of them has are not compared.
func (b Basis) Differences(now Basis) []Difference {
	var list []Difference
	add := func(r Rule, was, is any, format string, args ...any) {
		list = append(list, Difference{r, fmt.Sprintf(format, args...) + fmt.Sprintf(": %v, begun with %v", is, was)})
	}
	if !slices.Equal(b.Classes, now.Classes) {
		list = append(list, Difference{MustMatch, "other classes: " + changedNames(b.Classes, now.Classes)})
	}
	for _, key := range changedKeys(b.Config, now.Config) {
		rule := MustMatch
		if slices.Contains(free, key.name) {
			rule = Recorded
		}
		add(rule, key.was, key.is, "the setting %s", key.name)
	}
	if b.Start != "" && now.Start != "" && b.Start != now.Start {
		list = append(list, Difference{MustMatch, "the checkpoint that it starts from (train.init) is another one"})
	}
	for _, name := range slices.Sorted(maps.Keys(b.Data)) {
		part, both := now.Data[name]
		if both && part.Digest != b.Data[name].Digest && slices.Equal(b.Classes, now.Classes) {
			list = append(list, Difference{MayChange, name + " images: " + b.Data[name].changes(part, b.Classes)})
		}
	}
	for _, text := range now.Machine.changes(b.Last()) {
		list = append(list, Difference{Noted, text})
	}
	if b.DataDir != now.DataDir {
		add(Recorded, b.DataDir, now.DataDir, "the data folder")
	}
	return list
}

// Update returns the basis of a run that is resumed with the data and the settings of now. It keeps what b
// alone has, and the data folder of b. If the machine is another one than the last, it is added.
func (b Basis) Update(now Basis) Basis {
	b.Config, b.Classes = now.Config, now.Classes
	if b.Machine == (Machine{}) {
		b.Machine = now.Machine
	} else if len(now.Machine.changes(b.Last())) > 0 {
		b.Later = append(slices.Clone(b.Later), now.Machine)
	}
	b.Data, b.Cuts = maps.Clone(b.Data), maps.Clone(b.Cuts)
	if b.Data == nil {
		b.Data = map[string]Part{}
	}
	maps.Copy(b.Data, now.Data)
	if b.Cuts == nil {
		b.Cuts = map[string]map[string]uint64{}
	}
	maps.Copy(b.Cuts, now.Cuts)
	return b
}

// Texts returns the texts of the differences with the given rule, joined; empty if there are none.
func Texts(list []Difference, r Rule) string {
	var texts []string
	for _, d := range list {
		if d.Rule == r {
			texts = append(texts, d.Text)
		}
	}
	return strings.Join(texts, "; ")
}

// Change lists the paths of files that were added to a part, removed from it, or have another size.
type Change struct{ Added, Removed, Changed []string }

// Change returns how the files of now differ from those of p. known is false if one of them does not list
// its files.
func (p Part) Change(now Part) (c Change, known bool) {
	if p.Files == nil || now.Files == nil {
		return c, false
	}
	for _, path := range slices.Sorted(maps.Keys(p.Files)) {
		switch size, there := now.Files[path]; {
		case !there:
			c.Removed = append(c.Removed, path)
		case size != p.Files[path]:
			c.Changed = append(c.Changed, path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(now.Files)) {
		if _, there := p.Files[path]; !there {
			c.Added = append(c.Added, path)
		}
	}
	return c, true
}

// changes returns a text with the files that were added to a part, removed from it or changed. If the files
// are unknown, it has the numbers of images of each class instead.
func (p Part) changes(now Part, classes []string) string {
	var texts []string
	if c, known := p.Change(now); known {
		for _, l := range []struct {
			what  string
			files []string
		}{{"added", c.Added}, {"removed", c.Removed}, {"changed", c.Changed}} {
			if len(l.files) > 0 {
				texts = append(texts, fmt.Sprintf("%d %s (%s)", len(l.files), l.what, first(l.files)))
			}
		}
	} else if len(p.Counts) == len(classes) && len(now.Counts) == len(classes) {
		for i, class := range classes {
			if d := now.Counts[i] - p.Counts[i]; d > 0 {
				texts = append(texts, fmt.Sprintf("%d more of %s", d, class))
			} else if d < 0 {
				texts = append(texts, fmt.Sprintf("%d fewer of %s", -d, class))
			}
		}
	}
	if len(texts) == 0 {
		return fmt.Sprintf("the same number, %d, but others", now.Images)
	}
	return fmt.Sprintf("%d, begun with %d: %s", now.Images, p.Images, strings.Join(texts, ", "))
}

func changedNames(was, is []string) string {
	gone := slices.DeleteFunc(slices.Clone(was), func(s string) bool { return slices.Contains(is, s) })
	came := slices.DeleteFunc(slices.Clone(is), func(s string) bool { return slices.Contains(was, s) })
	text := fmt.Sprintf("%d, begun with %d", len(is), len(was))
	if len(came) > 0 {
		text += ", added: " + first(came)
	}
	if len(gone) > 0 {
		text += ", removed: " + first(gone)
	}
	return text
}

// first returns the first few names as a text.
func first(names []string) string {
	quoted := fmt.Sprintf("%q", names[:min(5, len(names))])
	quoted = strings.Trim(quoted, "[]")
	if len(names) > 5 {
		quoted += ", ..."
	}
	return strings.ReplaceAll(quoted, `" "`, `", "`)
}

// changedKey is a setting that differs between two configurations.
type changedKey struct{ name, was, is string }

// changedKeys returns the settings that differ between two configurations in YAML. Settings that only one of
// them has are left out, because other versions of the program may have them. An empty configuration
// is unknown and differs in nothing.
func changedKeys(was, is string) (list []changedKey) {
	if was == "" || is == "" || was == is {
		return nil
	}
	a, b := map[string]string{}, map[string]string{}
	flatten(was, a)
	flatten(is, b)
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if is, both := b[name]; both && a[name] != is {
			list = append(list, changedKey{name, a[name], is})
		}
	}
	return list
}

// flatten writes the settings of a YAML document to a map, by key.
func flatten(text string, into map[string]string) {
	var tree map[string]any
	if err := yaml.Unmarshal([]byte(text), &tree); err != nil {
		into["the whole"] = err.Error()
		return
	}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			into[prefix] = fmt.Sprint(v)
			return
		}
		for key, value := range m {
			walk(strings.TrimPrefix(prefix+"."+key, "."), value)
		}
	}
	walk("", map[string]any(tree))
}

// Brief returns b for a checkpoint: without the configuration, which the checkpoint has already, and
// without the names of files.
func (b Basis) Brief() *Basis {
	b.Config, b.Data = "", maps.Clone(b.Data)
	for name, part := range b.Data {
		part.Files = nil
		b.Data[name] = part
	}
	return &b
}

// WriteBasis writes the basis of a run to its folder.
func (d *Dir) WriteBasis(b Basis) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return d.WriteFile(basisFile, append(text, '\n'))
}

// ReadBasis returns the basis of the run in a folder, from its file or else from the newest checkpoint. ok
// is false if neither has it. In that case old reports whether there is a checkpoint, which is then one of an
// earlier version.
func ReadBasis(folder string) (b Basis, ok, old bool, err error) {
	if b, ok, err = basisIn(folder); ok || err != nil {
		return b, ok, false, err
	}
	for _, name := range []string{CheckpointFile, previous} {
		m, _, err := inspect(filepath.Join(folder, name))
		switch {
		case err != nil: // not there, or damaged, which Latest says
			continue
		case m.Basis == nil:
			return b, false, true, nil
		}
		b = *m.Basis
		b.Config = m.Config
		return b, true, false, nil
	}
	return b, false, false, nil
}

// BasisOf returns the basis of the run that saved a checkpoint, or nil if the checkpoint has none. path is
// the checkpoint's file or the run's folder; if the basis is in that folder, it has the names of files.
func BasisOf(path string, m Meta) (*Basis, error) {
	if m.Basis == nil {
		return nil, nil
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		path = filepath.Dir(path)
	}
	b, ok, err := basisIn(path)
	if err != nil || !ok {
		return m.Basis, err
	}
	if !slices.Equal(b.Classes, m.Basis.Classes) || !maps.EqualFunc(b.Cuts, m.Basis.Cuts, maps.Equal) {
		return m.Basis, nil // of another run
	}
	return &b, nil
}

func basisIn(folder string) (b Basis, ok bool, err error) {
	file := filepath.Join(folder, basisFile)
	text, err := filekind.Read(file, mostRecord)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return b, false, nil
	case err == nil:
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		return b, false, fmt.Errorf("%s, which says what the run was begun with: %w", file, err)
	}
	return b, true, nil
}
