package model

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"hdas/internal/filekind"
	"hdas/models/genotype"
	"hdas/run"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/weights"
)

// Start is the network of a checkpoint from whose weights a training starts.
type Start struct {
	Description
	Genotype genotype.Genotype
	File     string
	Digest   string // of the file
	Averaged bool   // Take takes the averaged weights (train.ema)
}

// ReadStart returns the network of a checkpoint file, or of the newest checkpoint of a run folder. It reads no
// weights.
func ReadStart(path string) (s Start, err error) {
	if s.File, err = run.Find(path); err != nil {
		return s, err
	}
	m, err := run.ReadMeta(s.File)
	if err == nil {
		err = trainedNetwork(s.File, m)
	}
	if err != nil {
		return s, err
	}
	if s.Genotype, s.Description, err = DescriptionOf(m); err != nil {
		return s, fmt.Errorf("%s: %w", s.File, err)
	}
	f, _, err := filekind.Open(s.File, 1<<40)
	if err != nil {
		return s, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	s.Digest = fmt.Sprintf("sha256:%x", h.Sum(nil))
	return s, err
}

// Taken says which weights a network took from a checkpoint.
type Taken struct {
	File     string   `json:"file"`
	Averaged bool     `json:"averaged,omitempty"` // the averaged weights of the file
	Taken    int      `json:"taken"`              // number of tensors
	Anew     []string `json:"anew"`               // tensors of the network with new initial values
	Left     []string `json:"left"`               // tensors of the checkpoint that the network has no use for
	Why      string   `json:"why"`                // why the classifier was made anew or how it was kept
}

// String returns the description as one line.
func (t Taken) String() string {
	kind := ""
	if t.Averaged {
		kind = "averaged "
	}
	text := fmt.Sprintf("%d %stensors from %s; %s", t.Taken, kind, t.File, t.Why)
	if len(t.Anew) > 0 {
		text += "; made anew: " + modules(t.Anew)
	}
	if len(t.Left) > 0 {
		text += "; left: " + modules(t.Left)
	}
	return text
}

// modules returns the modules of tensors by the first two parts of their names, each once.
func modules(names []string) string {
	var list []string
	for _, name := range names {
		parts := strings.Split(name, ".")
		module := strings.Join(parts[:min(2, max(1, len(parts)-1))], ".")
		if !slices.Contains(list, module) {
			list = append(list, module)
		}
	}
	return strings.Join(list, ", ")
}

// classifiers are the names of the tensors whose rows are the classes.
var classifiers = []string{"classifier.weight", "classifier.bias", "auxiliary_head.classifier.weight", "auxiliary_head.classifier.bias"}

// Fits returns an error unless the network of genotype g with description d can start from the checkpoint: the
// backbones have the same tensors. It reads no weights.
func (s Start) Fits(g genotype.Genotype, d Description) error {
	if s.Image.C != d.Image.C {
		return fmt.Errorf("%s is of a network for images with %d channels, and these have %d", s.File, s.Image.C, d.Image.C)
	}
	have, err := parameters(s.Genotype, s.Description)
	if err != nil {
		return err
	}
	want, err := parameters(g, d)
	if err != nil {
		return err
	}
	shapes := map[string][]int64{}
	for _, h := range have {
		shapes[h.Name] = h.Shape
	}
	var faults []error
	body := 0
	for _, w := range want {
		if isHead(w.Name) {
			continue
		}
		body++
		if shape, there := shapes[w.Name]; !there {
			faults = append(faults, fmt.Errorf("%s %v is missing", w.Name, w.Shape))
		} else if !slices.Equal(shape, w.Shape) {
			faults = append(faults, fmt.Errorf("%s has shape %v, not %v", w.Name, shape, w.Shape))
		}
		delete(shapes, w.Name)
	}
	for _, h := range have {
		if _, unused := shapes[h.Name]; unused && !isHead(h.Name) {
			faults = append(faults, fmt.Errorf("%s %v has no place", h.Name, h.Shape))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s holds %s (C=%d), which is not the network to train, %s (C=%d): %d of %d tensors do not fit: %w",
			s.File, s.Genotype.Name, s.Macro.Channels, g.Name, d.Macro.Channels, len(faults), body, weights.Faults(faults[:min(len(faults), 4)]))
	}
	return nil
}

func isHead(name string) bool {
	return strings.HasPrefix(name, "classifier.") || strings.HasPrefix(name, "auxiliary_head.")
}

// Take copies the weights of the checkpoint of s into the model, whose backbone must be that of the checkpoint
// (Fits). The classifiers are kept if the classes have the same names, in the order of the model; otherwise they
// keep their new initial values, and so does an auxiliary head that the checkpoint has not. Weights that are NaN
// or infinite are an error. It runs inside torch.Do.
func (m *Model) Take(s Start) (t Taken, err error) {
	_, c, err := read(s.File, s.Averaged)
	if err != nil {
		return t, err
	}
	have := c.State[weightsSection]
	var all []nn.Param
	for name, v := range have {
		all = append(all, nn.Param{Name: name, Tensor: v})
	}
	slices.SortFunc(all, func(a, b nn.Param) int { return strings.Compare(a.Name, b.Name) })
	if err := numbers(all); err != nil {
		return t, fmt.Errorf("%s: %w", s.File, err)
	}
	t.File, t.Averaged, t.Anew, t.Left = s.File, s.Averaged, []string{}, []string{}
	order := rows(m.Classes, s.Classes)
	t.Why = fmt.Sprintf("the classifier is kept, because the %d classes are the same by name", len(m.Classes))
	switch {
	case order == nil && len(m.Classes) == len(s.Classes):
		t.Why = fmt.Sprintf("the classifier is new, because the %d classes have other names than those of the checkpoint", len(m.Classes))
	case order == nil:
		t.Why = fmt.Sprintf("the classifier is new, because the classes are others (%d, the checkpoint has %d)", len(m.Classes), len(s.Classes))
	}
	torch.NoGrad(func() {
		for p := range m.Weights.All() {
			v, there := have[p.Name]
			isClass := slices.Contains(classifiers, p.Name)
			if there && isClass && order != nil {
				v = reordered(v, order)
			}
			if !there && !isHead(p.Name) {
				err = errors.Join(err, fmt.Errorf("%s has no %s", s.File, p.Name))
				continue
			}
			if !there || isClass && order == nil {
				t.Anew = append(t.Anew, p.Name)
				continue
			}
			if !slices.Equal(v.Shape(), p.Tensor.Shape()) {
				err = errors.Join(err, fmt.Errorf("%s: %s has shape %v, not %v", s.File, p.Name, v.Shape(), p.Tensor.Shape()))
				continue
			}
			p.Tensor.Copy_(v)
			t.Taken++
		}
	})
	for _, p := range all {
		if _, there := m.Weights.Get(p.Name); !there {
			t.Left = append(t.Left, p.Name)
		}
	}
	return t, err
}

// rows returns, for each class, its index among others; nil unless both hold the same names.
func rows(classes, others []string) []int {
	if len(classes) != len(others) {
		return nil
	}
	order := make([]int, len(classes))
	for i, class := range classes {
		if order[i] = slices.Index(others, class); order[i] < 0 {
			return nil
		}
	}
	return order
}

// reordered returns the rows of v in that order.
func reordered(v torch.Tensor, order []int) torch.Tensor {
	list := make([]torch.Tensor, len(order))
	for i, row := range order {
		list[i] = v.Select(0, int64(row))
	}
	return torch.Stack(list, 0)
}
