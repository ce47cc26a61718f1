package lab

import (
	"fmt"
	"slices"

	"hdas/datasets"
	"hdas/run"
	"hdas/torch"
)

// What was cut, in the record of a run.
const (
	testCut      = "test"      // one's own folder, in training and test images
	halvesCut    = "halves"    // the training images, in those of the weights and those of the architecture
	selectionCut = "selection" // the training images, in those that selecting trainings learn from and the others
)

// memory is what the run of a folder was begun with.
type memory struct {
	was   run.Basis
	known bool // false: the run begins now, or was begun by a program that recorded nothing
}

// remember reads what the run of a folder was begun with. A folder that has runs in others is as old as
// these.
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

// cut is where something was cut; nil where it is to be cut now.
func (m memory) cut(what string) datasets.Cut { return m.was.Cuts[what] }

// spec is the data set, divided as when the run began.
func (m memory) spec(s datasets.Spec) (datasets.Spec, error) {
	s.Cut = m.cut(testCut)
	return s.Fixed()
}

// data is what a run learns from and is scored on: its parts by name, and where they were cut.
type data struct {
	dir   string
	of    string // before the names of the parts in the record, where they are not the data set's own
	parts map[string]datasets.Dataset
	cuts  map[string]datasets.Cut
}

// basis is what a run with that configuration would be begun with now.
func (x data) basis(resolved []byte) (run.Basis, error) {
	b := run.Basis{Config: string(resolved), Data: map[string]run.Part{}, Cuts: map[string]map[string]uint64{}, DataDir: x.dir}
	if b.DataDir == "" {
		b.DataDir = datasets.Dir()
	}
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

// computed is the basis with what it is computed by.
func computed(b run.Basis, o torch.Options) run.Basis {
	b.Device, b.Libtorch = o.Device.String(), torch.Version()
	torch.Do(func(*torch.Scope) error { b.Threads = torch.Threads(); return nil })
	return b
}

func partOf(d datasets.Dataset) (run.Part, error) {
	c, err := datasets.ContentOf(d)
	return run.Part{Images: c.Images, Counts: c.Counts, Digest: c.Digest, Files: c.Files}, err
}

// keep compares what there is now with what the run in d was begun with, refuses what would change its
// meaning, keeps the record in the folder, and returns it.
func (w Watch) keep(d *run.Dir, m memory, now run.Basis) (run.Basis, error) {
	b := now
	if m.known {
		if err := w.allow(d.Path(), m.was.Differences(now)); err != nil {
			return b, err
		}
		b = m.was.Update(now)
	}
	return b, d.WriteBasis(b)
}

// hold is keep, and returns the record that checkpoints have.
func (w Watch) hold(d *run.Dir, m memory, now run.Basis) (*run.Basis, error) {
	b, err := w.keep(d, m, now)
	return b.Brief(), err
}

// allow is an error where the differences change what a run means, unless they are accepted.
func (w Watch) allow(path string, list []run.Difference) error {
	if text := run.Texts(list, run.MustMatch); text != "" {
		return fmt.Errorf("%s was begun with something else: %s; put that back, or begin another run", path, text)
	}
	if text := run.Texts(list, run.MayChange); text != "" {
		return w.accept(path, text)
	}
	return nil
}

// accept asks whether data may be other than a run was begun with.
func (w Watch) accept(path, text string) error {
	if w.Changed == nil || !w.Changed(path, text) {
		return &ChangedError{path, text}
	}
	return nil
}

// ChangedError is of a run whose data has changed since it was begun.
type ChangedError struct{ Run, Text string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("the data of %s has changed since it was begun: %s; put it back, or accept that the numbers are of other data (--accept-data)", e.Run, e.Text)
}

// inherit gives a run within others what those were begun with, unless it was begun already. Its
// configuration is its own.
func inherit(d *run.Dir, b run.Basis) error {
	_, ok, old, err := run.ReadBasis(d.Path())
	if ok || old || err != nil {
		return err
	}
	b.Config = ""
	return d.WriteBasis(b)
}

// holdTest compares the part that a network is scored on with what its run was begun with. Images that
// were added belong to it, and those that are gone do no harm. Both at once may be images that were learned from, under new
// names.
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
