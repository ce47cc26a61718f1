package parity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hdas/configs"
	"hdas/models/plan"
	"os"
	"strings"

	"hdas/models"
	"hdas/models/genotype"
	"hdas/models/layer"
	"hdas/run"
	"hdas/search"
	"hdas/torch"
	"hdas/torch/nn"
	"hdas/train"
)

// instance is this program's network for a task.
type instance struct {
	image    layer.Shape
	weights  *nn.Store
	derived  *models.Network
	supernet *search.Supernet // nil for a derived network
}

// build returns the network of a task on a device. It runs inside torch.Do; the caller frees the network.
func build(device torch.Device, t task, folder string) (*instance, error) {
	dtype, err := t.dtype()
	if err != nil {
		return nil, err
	}
	m := t.macro()
	s := &instance{image: t.image()}
	o := torch.Options{DType: dtype, Device: device}
	if t.Search == nil {
		g, err := genotype.Load(genotypeFile(folder))
		if err != nil {
			return nil, err
		}
		network, err := plan.New(g, m, s.image, genotype.Candidates{})
		if err != nil {
			return nil, err
		}
		s.weights = nn.NewStore(o)
		if s.derived, err = models.Build(s.weights, network); err != nil {
			s.free()
			return nil, err
		}
		return s, nil
	}
	config := t.config(folder)
	where, err := config.Space()
	if err != nil {
		return nil, err
	}
	if s.supernet, err = search.NewSupernet(where, config, m, s.image, o); err != nil {
		return nil, err
	}
	s.weights = s.supernet.Weights
	return s, nil
}

// losses returns the logits of a derived network, those of its auxiliary head, and the sum of both losses.
func (s *instance) losses(t task, c *nn.Ctx, b search.Sample) (logits, aux, loss torch.Tensor) {
	logits, aux = s.derived.Forward(c, b.Images)
	loss = torch.CrossEntropy(logits, b.Labels, 0)
	return logits, aux, loss.Add(torch.CrossEntropy(aux, b.Labels, 0).MulScalar(t.AuxiliaryWeight))
}

// training returns the Stepper of a derived network with the settings of the task; the caller frees it.
func (t task) training(s *instance) train.Stepper {
	w, c := t.Weights.Of, configs.DefaultTrainSection()
	c.Momentum, c.WeightDecay, c.Clip, c.AuxiliaryWeight = w.Momentum, w.WeightDecay, w.Clip, t.AuxiliaryWeight
	return train.NewStepper(s.derived, s.weights, c)
}

// whole returns a sample as the only part of a training step, with the cross-entropy without label smoothing.
func whole(s search.Sample) train.Part {
	return train.Part{In: []torch.Tensor{s.Images, s.Labels}, Share: 1, Loss: func(in []torch.Tensor, logits torch.Tensor) torch.Tensor {
		return torch.CrossEntropy(logits, in[1], 0)
	}}
}

// labels returns random labels.
func (t task) labels(shape ...int64) torch.Tensor {
	return torch.FromInt64(torch.Zeros(torch.Options{}, shape...).Uniform_(0, float64(t.Net.Classes)).Int64s(), shape...)
}

func (s *instance) free() {
	if s.supernet != nil {
		s.supernet.Free()
		return
	}
	s.weights.Free()
}

// fill copies the weights and the architecture parameters of the input into the network.
func (s *instance) fill(input map[string]torch.Tensor) error {
	if err := s.weights.Load(under(input, "state.")); err != nil || s.supernet == nil {
		return err
	}
	return s.supernet.Arch.Store.Load(under(input, "arch."))
}

func under(tensors map[string]torch.Tensor, prefix string) map[string]torch.Tensor {
	found := map[string]torch.Tensor{}
	for name, t := range tensors {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			found[rest] = t
		}
	}
	return found
}

// prepare writes the common input of both sides to a folder: the task, the genotype, random weights, and
// for every step a batch of random images and labels for each half of the data. It runs inside torch.Do.
func prepare(t task, g genotype.Genotype, folder string) error {
	if err := writeTask(folder, t, g); err != nil {
		return err
	}
	torch.Seed(t.Seed)
	s, err := build(torch.CPU, t, folder) // the same numbers for every device
	if err != nil {
		return err
	}
	defer s.free()
	var tensors []nn.Param
	add := func(name string, v torch.Tensor) { tensors = append(tensors, nn.Param{Name: name, Tensor: v}) }
	for p := range s.weights.All() {
		scatter(p)
		add("state."+p.Name, p.Tensor)
	}
	if s.supernet != nil {
		for p := range s.supernet.Arch.Store.All() {
			add("arch."+p.Name, p.Tensor)
		}
	}
	for _, half := range []string{"train", "valid"} {
		n := int64(t.Steps)
		add(half+".images", torch.Randn(torch.Options{}, n, t.Batch, s.image.C, s.image.H, s.image.W))
		add(half+".labels", t.labels(n, t.Batch))
	}
	return run.WriteTensors(inputFile(folder), tensors, nil)
}

// scatter randomises parameters that are initialised to 0 or 1 (running statistics, scales and shifts of
// batch norms), so that an error in one of them changes the results.
func scatter(p nn.Param) {
	if len(p.Tensor.Shape()) != 1 {
		return
	}
	torch.NoGrad(func() {
		if v := p.Tensor; strings.HasSuffix(p.Name, "running_var") || strings.HasSuffix(p.Name, ".weight") {
			v.Uniform_(0.5, 1.5)
		} else {
			v.Uniform_(-0.2, 0.2)
		}
	})
}

// writeTask writes a task and its genotype to a folder, for both sides to read.
func writeTask(folder string, t any, g genotype.Genotype) error {
	if len(g.Cells) > 0 {
		var text bytes.Buffer
		if err := errors.Join(g.Encode(&text), os.WriteFile(genotypeFile(folder), text.Bytes(), 0o600)); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(taskFile(folder), append(text, '\n'), 0o600)
}

func readTask(folder string) (task, error) {
	var t task
	err := readJSON(taskFile(folder), &t)
	return t, err
}

func readJSON(file string, to any) error {
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
