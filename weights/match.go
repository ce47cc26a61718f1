package weights

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Want is the name and the shape of a parameter that a network needs.
type Want struct {
	Name  string
	Shape []int64
}

// Tracked is the suffix of names in PyTorch's state dicts under which batch norms count their batches.
// These tensors are ignored, because the networks here do not use the counts.
const Tracked = ".num_batches_tracked"

// Own returns the file's tensors under this program's names, which are those of DARTS. Names of the H-DAS
// authors are translated. Their program registers its cells more than once, so a file may have several
// copies of a tensor; Own returns one of them. faults lists the tensors whose names cannot be translated
// and the copies that differ. It also is a fault if the tensors overlap in the file, so that together
// they have more bytes than the file: a small file could otherwise require any amount of memory.
func (f File) Own() (own []Entry, faults []error) {
	own, faults = f.turned()
	total, seen := int64(0), map[view]bool{}
	for _, e := range own {
		if v, dense := e.view(); dense && seen[v] { // the same tensor under another name
			continue
		} else if dense {
			seen[v] = true
		}
		if total += e.bytes(); total > f.size {
			return nil, append(faults, fmt.Errorf("the tensors overlap: they have more than the %d bytes of the file", f.size))
		}
	}
	return own, faults
}

func (f File) turned() (own []Entry, faults []error) {
	var all []string
	for _, e := range f.Entries {
		all = append(all, e.Name)
	}
	if !IsHDAS(all) {
		return f.Entries, nil
	}
	turn := FromHDAS(all)
	first := map[string]Entry{}   // by translated name: the first entry of that name in the file
	alike := map[string][]Entry{} // by the part of the name after the cell's index
	var others []Entry
	for _, e := range f.Entries {
		name := turn(e.Name)
		switch before, twice := first[name]; {
		case name == "":
			others = append(others, e)
		case twice && !before.same(e.Array):
			faults = append(faults, fmt.Errorf("%s and %s are the same tensor of the network, but differ", before.Name, e.Name))
		case !twice:
			first[name] = e
			own = append(own, Entry{name, e.Array})
			if part, ok := inCell(e.Name); ok {
				alike[part] = append(alike[part], e)
			}
		}
	}
	for _, e := range others {
		part, ok := inCell(e.Name)
		switch {
		case !ok:
			faults = append(faults, fmt.Errorf("%s is not a name of the H-DAS authors' networks", e.Name))
		case !slices.ContainsFunc(alike[part], func(a Entry) bool { return a.same(e.Array) }):
			faults = append(faults, fmt.Errorf("%s is not a copy of any cell's %s", e.Name, part))
		}
	}
	return own, faults
}

var cellPart = regexp.MustCompile(`(?:^|\.)cells\.\d+\.(.*)$`)

// inCell returns the part of a name after the index of a cell.
func inCell(name string) (part string, ok bool) {
	m := cellPart.FindStringSubmatch(name)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// Match returns the tensors of own that a network needs, in the order of want. faults lists every tensor
// that is missing, unexpected, of the wrong shape, or not of a floating-point type. Tensors whose name
// ends in Tracked are never unexpected.
func Match(own []Entry, want []Want) (found []Entry, faults []error) {
	have := map[string]Array{}
	for _, e := range own {
		have[e.Name] = e.Array
	}
	for _, w := range want {
		a, ok := have[w.Name]
		delete(have, w.Name)
		switch {
		case !ok:
			faults = append(faults, fmt.Errorf("%s %v is missing", w.Name, w.Shape))
		case !slices.Equal(a.Shape, w.Shape):
			faults = append(faults, fmt.Errorf("%s has shape %v, not %v", w.Name, a.Shape, w.Shape))
		case !a.DType.Floating():
			faults = append(faults, fmt.Errorf("%s has elements of %s, not of a floating-point type", w.Name, a.DType))
		default:
			found = append(found, Entry{w.Name, a})
		}
	}
	taken := map[view]bool{}
	for _, e := range found {
		if v, dense := e.view(); dense {
			taken[v] = true
		}
	}
	for _, e := range own {
		if v, dense := e.view(); dense && taken[v] { // a found tensor under another name
			continue
		}
		if a, left := have[e.Name]; left && !strings.HasSuffix(e.Name, Tracked) {
			faults = append(faults, fmt.Errorf("%s %v is not a parameter of the network", e.Name, a.Shape))
		}
	}
	return found, faults
}

// Faults returns one error that states the number of faults and lists them, or nil if there are none.
func Faults(faults []error) error {
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%d tensors do not fit:\n%w", len(faults), errors.Join(faults...))
}
