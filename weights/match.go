package weights

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Want is a parameter that a network has.
type Want struct {
	Name  string
	Shape []int64
}

// Tracked ends the names of the numbers of batches that batch norms of PyTorch have seen. They are
// counted for an average that no network here uses.
const Tracked = ".num_batches_tracked"

// Own are the file's tensors by this program's names, which are DARTS'. Where the file has the H-DAS authors' names they are turned, and tensors that are
// there several times, as their program registers its cells more than once, are taken once; faults
// are those that cannot be turned, or that differ from the others of their name. All together have
// no more bytes than the file: tensors that share memory would need more than it, one by one.
func (f File) Own() (own []Entry, faults []error) {
	own, faults = f.turned()
	total, seen := int64(0), map[view]bool{}
	for _, e := range own {
		if v, dense := e.view(); dense && seen[v] { // another name of the same tensor
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
	first := map[string]Entry{}   // by our name: as the file has it
	alike := map[string][]Entry{} // by what follows the number of the cell
	var others []Entry
	for _, e := range f.Entries {
		name := turn(e.Name)
		switch before, twice := first[name]; {
		case name == "":
			others = append(others, e)
		case twice && !before.same(e.Array):
			faults = append(faults, fmt.Errorf("%s and %s are one tensor of the network, but differ", before.Name, e.Name))
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
			faults = append(faults, fmt.Errorf("%s is no copy of any cell's %s", e.Name, part))
		}
	}
	return own, faults
}

var cellPart = regexp.MustCompile(`(?:^|\.)cells\.\d+\.(.*)$`)

// inCell is what follows the number of a cell in a name.
func inCell(name string) (part string, ok bool) {
	m := cellPart.FindStringSubmatch(name)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// Match are the wanted parameters among the tensors, in the order wanted. faults name every one
// that is missing, surplus, of another shape, or without fractions; a number of batches is never
// surplus.
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
			faults = append(faults, fmt.Errorf("%s has elements of %s, not of a type with fractions", w.Name, a.DType))
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
		if v, dense := e.view(); dense && taken[v] { // another name of a tensor that was found
			continue
		}
		if a, left := have[e.Name]; left && !strings.HasSuffix(e.Name, Tracked) {
			faults = append(faults, fmt.Errorf("%s %v is surplus", e.Name, a.Shape))
		}
	}
	return found, faults
}

// Faults is one error of all faults, with their number before them; nil for none.
func Faults(faults []error) error {
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%d tensors do not fit:\n%w", len(faults), errors.Join(faults...))
}
