package parity

import (
	"fmt"
	"time"

	"hdas/internal/proc"
	"hdas/run"
	"hdas/search"
	"hdas/torch"
	"hdas/torch/kernel"
	"hdas/torch/nn"
)

// RunHDAS runs this program's side of a comparison that was prepared in a folder, and writes the
// results there. Its peak memory is only meaningful in a process that has done nothing else.
func RunHDAS(folder string) error { return runHDAS(usual, folder) }

func runHDAS(path func(d torch.Device, evaluate bool) kernel.Path, folder string) error {
	t, err := readTask(folder)
	if err != nil {
		return err
	}
	device, err := run.Device(t.Device)
	if err != nil {
		return err
	}
	return torch.Do(func(*torch.Scope) error {
		torch.SetThreads(t.Threads)
		torch.SetTF32(false)
		torch.Ones(torch.Options{Device: device}, 8, 8).Sum().Item() // initialises libtorch before memory is measured
		o := outcome{path: path(device, false), device: device, measured: measured{Version: "libtorch " + torch.Version(), Seconds: map[string][]float64{}, Peak: map[string]int64{}}, base: proc.Process("VmRSS")}
		defer o.free()
		if err := o.run(t, folder); err != nil {
			return err
		}
		return o.write(folder, hdasSide)
	})
}

// outcome collects the results of a side: tensors named GROUP/NAME, and time and memory of its steps. It
// owns the tensors.
type outcome struct {
	measured
	path    kernel.Path
	device  torch.Device
	base    int64 // resident memory in bytes before the network was built
	tensors []nn.Param
}

// put adds a copy of a tensor.
func (o *outcome) put(group, name string, v torch.Tensor) {
	torch.NoGrad(func() {
		o.tensors = append(o.tensors, nn.Param{Name: group + "/" + name, Tensor: v.Clone().Keep()})
	})
}

func (o *outcome) free() {
	for _, p := range o.tensors {
		p.Tensor.Free()
	}
}

func (o *outcome) params(group string, params []nn.Param) {
	for _, p := range params {
		o.put(group, p.Name, p.Tensor)
	}
}

// grads adds the gradients of the parameters on which the loss depends.
func (o *outcome) grads(group, prefix string, params []nn.Param, grads []torch.Tensor) {
	for i, p := range params {
		if grads[i].Defined() {
			o.put(group, prefix+p.Name, grads[i])
		}
	}
}

// steps runs n steps under a name and measures their time, and the resident memory or that of the device.
func (o *outcome) steps(name string, n int, step func(i int64)) {
	all := func() {
		for i := range int64(n) {
			torch.Synchronize(o.device)
			start := time.Now()
			torch.Within(func(*torch.Scope) { step(i) })
			torch.Synchronize(o.device)
			o.Seconds[name] = append(o.Seconds[name], time.Since(start).Seconds())
		}
	}
	if o.device.IsCUDA() {
		o.Peak[name] = torch.PeakMemory(o.device, all)
		return
	}
	proc.ResetPeak()
	all()
	o.Peak[name] = max(0, proc.Process("VmHWM")-o.base)
}

func (o *outcome) run(t task, folder string) error {
	input, _, err := run.ReadTensors(inputFile(folder))
	if err != nil {
		return err
	}
	for name, v := range input {
		input[name] = v.ToDevice(o.device)
	}
	s, err := build(o.device, t, folder)
	if err != nil {
		return err
	}
	defer s.free()
	if s.supernet == nil {
		return o.train(t, s, input)
	}
	return o.search(t, s, input)
}

// sample returns the batch of a step from one half of the data.
func sample(t task, input map[string]torch.Tensor, half string, step int64) search.Sample {
	dtype, _ := t.dtype()
	return search.Sample{Images: input[half+".images"].Select(0, step).To(dtype), Labels: input[half+".labels"].Select(0, step)}
}

// train computes logits, loss and gradients of a derived network, then runs steps of SGD.
func (o *outcome) train(t task, s *instance, input map[string]torch.Tensor) error {
	if err := s.fill(input); err != nil {
		return err
	}
	params := s.weights.Weights()
	torch.Within(func(*torch.Scope) {
		first := sample(t, input, "train", 0)
		torch.NoGrad(func() {
			logits, _ := s.derived.Forward(&nn.Ctx{Path: o.path}, first.Images)
			o.put("eval logits", "logits", logits)
		})
		logits, aux, loss := s.losses(t, &nn.Ctx{Train: true, Path: o.path}, first)
		o.put("train logits", "logits", logits)
		o.put("auxiliary logits", "logits", aux)
		o.put("loss", "loss", loss)
		o.grads("weight gradients", "", params, torch.Grad(loss, nn.Tensors(params)))
	})
	if err := s.fill(input); err != nil {
		return err
	}
	step := t.training(s)
	defer step.Free()
	o.steps("training", t.Steps, func(i int64) {
		b := sample(t, input, "train", i)
		loss, _ := step.Take(&nn.Ctx{Train: true, Path: o.path}, t.Weights.Of.LR, whole(b))
		o.put("losses of the steps", fmt.Sprintf("step%d", i), loss)
	})
	o.params("weights after", params)
	o.params("statistics after", buffers(s.weights))
	return nil
}

// search computes logits, losses and gradients of a supernet, then runs bilevel steps of each order, each
// from the same initial weights.
func (o *outcome) search(t task, s *instance, input map[string]torch.Tensor) error {
	n := s.supernet
	n.Path = o.path
	params, archParams := n.Weights.Weights(), n.Arch.Store.Weights()
	if err := s.fill(input); err != nil {
		return err
	}
	torch.Within(func(*torch.Scope) {
		loss, logits := n.WeightLoss(sample(t, input, "train", 0))
		o.put("train logits", "logits", logits)
		o.put("loss", "loss", loss)
		grads := torch.Grad(loss, nn.Tensors(params))
		o.grads("weight gradients", "", params, grads)
	})
	for _, order := range t.Orders {
		if err := s.fill(input); err != nil {
			return err
		}
		suffix := ", " + order + " order"
		learn := search.NewBilevel(n)
		learn.Order = func(b *search.Bilevel, rate float64, train, valid search.Sample) ([]torch.Tensor, search.Losses) {
			grads, losses := hypers[order](b, rate, train, valid)
			o.grads("alpha gradients"+suffix, fmt.Sprintf("step%d ", len(o.Seconds[order+" order"])), archParams, grads)
			return grads, losses
		}
		o.steps(order+" order", t.Steps, func(i int64) {
			result := learn.Step(t.Weights.Of.LR, true, sample(t, input, "train", i), sample(t, input, "valid", i))
			o.put("losses of the steps"+suffix, fmt.Sprintf("step%d", i), result.Train)
		})
		learn.Free()
		o.params("alphas after"+suffix, archParams)
		o.params("weights after"+suffix, params)
		if order == First {
			o.params("statistics after"+suffix, buffers(n.Weights))
		}
	}
	return nil
}

var hypers = map[string]search.HyperGrad{First: search.FirstOrder, Second: search.Unrolled}

func buffers(s *nn.Store) []nn.Param {
	var out []nn.Param
	for p := range s.All() {
		if !p.Trainable {
			out = append(out, p)
		}
	}
	return out
}
