package lab

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"hdas/datasets"
	"hdas/internal/filekind"
	"hdas/run"
	"hdas/torch"
)

// The keys of the splits in the basis of a run.
const (
	testCut      = "test"       // of a user's folder into test and training images
	halvesCut    = "halves"     // of the training images into those for the weights and those for the architecture
	validCut     = "validation" // of the training images into those that a training learns from and those that it validates on
	selectionCut = "selection"  // of the training images into those that a selecting training learns from and those for its score
)

// memory is the basis of the run in a folder.
type memory struct {
	was   run.Basis
	known bool // false if the run begins now, or was begun by an earlier version
}

// remember returns the basis of the run in a folder. runs are the folders of its parts, which tell whether
// it was begun by an earlier version.
func (w Watch) remember(folder string, runs ...string) (m memory, err error) {
	var old bool
	if m.was, m.known, old, err = run.ReadBasis(folder); err != nil {
		return m, err
	}
	for _, r := range runs {
		if m.known || old {
			break
		}
		if _, _, old, err = run.ReadBasis(r); err != nil {
			return m, err
		}
	}
	if old {
		position := map[string]uint64(datasets.ByPosition())
		m.was.Cuts = map[string]map[string]uint64{testCut: position, halvesCut: position, selectionCut: position}
		w.note(unrecorded(folder))
	}
	return m, nil
}

func unrecorded(path string) string {
	return fmt.Sprintf("%s has no record of the data that it was begun with, so whether that has changed is not known", path)
}

// cut returns the recorded split with that key; nil if there is none.
func (m memory) cut(what string) datasets.Cut { return m.was.Cuts[what] }

// spec returns the data set with the split that it had when the run began.
func (m memory) spec(s datasets.Spec) (datasets.Spec, error) {
	s.Cut = m.cut(testCut)
	return s.Fixed()
}

// data holds the parts of a data set that a run uses, by name, and how they were split.
type data struct {
	dir   string
	of    string // prefix of the names of the parts in the basis; empty if they are the splits of the data set
	parts map[string]datasets.Dataset
	cuts  map[string]datasets.Cut
}

// basis returns the basis of a run with that configuration that begins now.
func (x data) basis(resolved []byte) (run.Basis, error) {
	b := run.Basis{Config: string(resolved), Data: map[string]run.Part{}, Cuts: map[string]map[string]uint64{}, DataDir: datasets.Folder(x.dir)}
	for what, c := range x.cuts {
		if c != nil {
			b.Cuts[what] = c
		}
	}
	for name, d := range x.parts {
		if err := datasets.Usable(d, name); err != nil {
			return b, err
		}
		p, err := partOf(d)
		if err != nil {
			return b, err
		}
		b.Data[x.of+name], b.Classes = p, d.Info().Classes
	}
	return b, nil
}

// computed returns b with the machine that computes now.
func computed(b run.Basis, o torch.Options) run.Basis {
	b.Machine = run.Machine{Device: o.Device.String(), Libtorch: torch.Version()}
	torch.Do(func(*torch.Scope) error {
		b.Threads, b.Instructions = torch.Threads(), torch.Instructions()
		if o.Device.IsCUDA() {
			b.CUDA = arithmetic()
		}
		return nil
	})
	return b
}

func partOf(d datasets.Dataset) (run.Part, error) {
	c, err := datasets.ContentOf(d)
	return run.Part{Images: c.Images, Counts: c.Counts, Digest: c.Digest, Files: c.Files}, err
}

// keep writes the basis of the run in d to its folder and returns it. It returns an error if now differs
// from what the run was begun with in a way that would change its meaning.
func (w Watch) keep(d *run.Dir, m memory, now run.Basis) (run.Basis, error) {
	b := now
	if w.Group.Rank() > 0 { // rank 0 does
		return b, nil
	}
	if !m.known {
		if err := w.allow(d.Path(), settingsOf(d).Differences(run.Basis{Config: now.Config})); err != nil {
			return b, err
		}
	} else {
		if err := w.allow(d.Path(), m.was.Differences(now)); err != nil {
			return b, err
		}
		if text := run.Texts(m.was.Differences(now), run.Noted); text != "" {
			w.note(fmt.Sprintf("%s goes on with %s: sums are rounded differently from here on, so that its result will differ from an uninterrupted run's as that of another seed does", d.Path(), text))
		}
		b = m.was.Update(now)
	}
	return b, d.WriteBasis(b)
}

// settingsOf returns the settings of a run of an earlier version, which has no other basis; none if the folder holds no run.
func settingsOf(d *run.Dir) (b run.Basis) {
	if h, err := HeldIn(d.Path()); err == nil && h != (Holding{}) {
		if text, err := filekind.ReadText(d.Path(run.ConfigFile), mostPlan); err == nil {
			b.Config = string(text)
		}
	}
	return b
}

// sameData returns an error if the processes of the run do not read the same data.
func (w Watch) sameData(now run.Basis) error {
	if w.Group == nil {
		return nil
	}
	text := strings.Join(now.Classes, "\n")
	for _, name := range slices.Sorted(maps.Keys(now.Data)) {
		text += "\n" + now.Data[name].Digest
	}
	return torch.Do(func(*torch.Scope) error {
		for rank, there := range w.Group.Gather([]byte(text)) {
			if rank < w.Group.Rank() && string(there) != text {
				return fmt.Errorf("it reads other images than rank %d; use the same --data-dir on all hosts, or copies of it", rank)
			}
		}
		return nil
	})
}

// hold is keep, but returns the basis for checkpoints.
func (w Watch) hold(d *run.Dir, m memory, now run.Basis) (*run.Basis, error) {
	b, err := w.keep(d, m, now)
	return b.Brief(), err
}

// allow returns an error if differences change the meaning of a run, unless the user accepts them.
func (w Watch) allow(path string, list []run.Difference) error {
	if text := run.Texts(list, run.MustMatch); text != "" {
		return fmt.Errorf("%s was begun with something else: %s; put that back, or begin another run with another --out", path, text)
	}
	if text := run.Texts(list, run.MayChange); text != "" {
		return w.accept(path, text)
	}
	return nil
}

// accept returns an error unless the user accepts that the data of a run has changed.
func (w Watch) accept(path, text string) error {
	if w.Changed == nil || !w.Changed(path, text) {
		return &ChangedError{path, text}
	}
	return nil
}

// ChangedError is the error of a run whose data has changed since it began.
type ChangedError struct{ Run, Text string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("the data of %s has changed since it was begun: %s; put it back, or accept that the numbers are of other data (--accept-data)", e.Run, e.Text)
}

// inherit writes b, the basis of several runs, to the folder of one of them, unless that has begun already.
func inherit(d *run.Dir, b run.Basis) error {
	_, ok, old, err := run.ReadBasis(d.Path())
	if ok || old || err != nil {
		return err
	}
	b.Config, b.Machine, b.Later = "", b.Last(), nil
	return d.WriteBasis(b)
}

// holdTest returns an error if the images on which a network is evaluated have changed since its run began,
// unless images were only added, which are assigned to their part by hash, or only removed. If both happened,
// training images may be among the test images under new names.
func (w Watch) holdTest(path string, basis *run.Basis, split string, data datasets.Dataset) error {
	if err := datasets.Usable(data, split); err != nil {
		return err
	}
	part, err := partOf(data)
	if err != nil {
		return err
	}
	was, known := basis.Data[split]
	if !known || was.Digest == part.Digest {
		return nil
	}
	text := run.Texts(basis.Differences(run.Basis{Classes: basis.Classes, Config: basis.Config, Data: map[string]run.Part{split: part}}), run.MayChange)
	c, named := was.Change(part)
	learned := slices.DeleteFunc(slices.Clone(c.Added), func(file string) bool { _, ok := basis.Data[datasets.Train].Files[file]; return !ok })
	switch {
	case split == datasets.Test && len(learned) > 0:
		text += fmt.Sprintf("; %d of them were learned from", len(learned))
	case named && len(c.Changed) == 0 && (len(c.Added) == 0 || len(c.Removed) == 0):
		w.note(fmt.Sprintf("the data of %s has changed since it was begun: %s", path, text))
		return nil
	case named && len(c.Added) > 0 && split == datasets.Test:
		text += "; images that it learned from may be among them under other names"
	}
	return w.accept(path, text)
}
