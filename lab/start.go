package lab

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"hdas/configs"
	"hdas/datasets"
	"hdas/estimate"
	"hdas/internal/filekind"
	"hdas/live"
	"hdas/run"
)

// starting returns what a run in a folder is, without its network and its data.
func (w Watch) starting(name, kind string, c configs.Common, epochs int, m run.Machine, d *run.Dir) live.Start {
	host, _ := os.Hostname()
	s := live.Start{
		Time: time.Now(), Folder: d.Path(), Resume: ResumeCommand(d.Path()), Name: name, Kind: kind, Configuration: w.Configuration, Seed: c.Seed,
		Device: m.Device, Threads: m.Threads, Precision: c.Precision, Libtorch: m.Libtorch, Instructions: m.Instructions, CUDA: m.CUDA, Host: host,
		Network: live.Network{Preset: string(c.Network.Preset), Channels: c.Network.Channels}, Epochs: epochs,
		Data: live.Data{Name: c.Data.Name},
	}
	if w.Group != nil {
		s.Processes = w.Group.World()
	}
	if s.Configuration == d.Path(run.ConfigFile) {
		s.Configuration = ""
	}
	if len(w.Command) > 0 {
		s.Command = live.CommandLine(w.Command...)
	}
	return s
}

// part is a part of the data of a run.
type part struct {
	name string
	datasets.Dataset
}

// sized adds the network and the data to what a run is, and what it will need.
func sized(s live.Start, r estimate.Run, e estimate.Estimate, parts ...part) live.Start {
	s.Network.Parameters, s.Network.Architecture, s.Network.MACs, s.Network.Cells = r.Weights, r.Arch, r.MACs, r.Cells
	s.Steps, s.Batch = r.Steps, r.Batch
	if e.Bytes.High > 0 {
		s.Memory = &live.Memory{Expected: e.Bytes.High, Free: e.Free}
	}
	for i, p := range parts {
		if info := p.Info(); i == 0 {
			s.Data.Classes, s.Data.Image = len(info.Classes), [3]int{info.Channels, info.Height, info.Width}
		}
		s.Data.Parts = append(s.Data.Parts, live.Part{Name: p.name, Images: p.Len()})
	}
	return s
}

// ofBasis adds the parts that a basis has to what several runs read.
func ofBasis(x *live.Data, b run.Basis) {
	x.Classes = len(b.Classes)
	for _, name := range slices.Sorted(maps.Keys(b.Data)) {
		x.Parts = append(x.Parts, live.Part{Name: name, Images: b.Data[name].Images})
	}
}

// several adds the start of several runs to their folder and tells it to Several.
func (w Watch) several(d *run.Dir, s live.Start) error {
	if len(w.Devices) > 1 {
		s.Device = strings.Join(w.Devices, ", ")
	}
	if w.Several != nil {
		w.Several(s)
	}
	return d.AppendStart(s)
}

// begin adds the start of a run to its folder and tells it to Begin. A run that is done does not start again.
func (w Watch) begin(d *run.Dir, s live.Start) (progress func(run.Progress), end func(), err error) {
	if m, ok := d.Newest(); ok {
		if m.Done {
			return nil, func() {}, nil
		}
		s.ResumedAt = &live.Position{Epoch: m.Epoch, Step: m.Batch}
	}
	if err := d.AppendStart(s); err != nil {
		return nil, nil, err
	}
	if w.Begin == nil {
		return nil, func() {}, nil
	}
	progress, end = w.Begin(s)
	return progress, end, nil
}

// kindOf returns the kind of a run with that configuration: "stage search", "training", "fine-tuning", "linear probe";
// and the words of the command that runs it.
func kindOf(config []byte) (kind, command string, err error) {
	var c struct {
		Search struct{ Kind string }
		Train  struct {
			Init  string
			Probe bool
		}
	}
	if err := yaml.Unmarshal(config, &c); err != nil {
		return "", "", err
	}
	switch {
	case c.Search.Kind != "":
		return c.Search.Kind + " search", "search " + c.Search.Kind, nil
	case c.Train.Probe:
		return "linear probe", "train", nil
	case c.Train.Init != "":
		return "fine-tuning", "train", nil
	}
	return "training", "train", nil
}

// ResumeCommand returns the command that resumes the run in a folder, or the seeds or the comparison that it belongs
// to; empty if the folder has no configuration of a run.
func ResumeCommand(folder string) string {
	const levels = 2 // from the selecting training of a seed to the folder of the seeds
	whole := folder
	for at, i := filepath.Dir(filepath.Clean(folder)), 0; i < levels; at, i = filepath.Dir(at), i+1 {
		if has(at, seedsFile) || has(at, planFile) {
			whole = at
		}
	}
	config, err := filekind.Read(filepath.Join(whole, run.ConfigFile), mostPlan)
	if err != nil {
		return ""
	}
	_, command, err := kindOf(config)
	if err != nil {
		return ""
	}
	if has(whole, planFile) {
		command = "compare"
	}
	return fmt.Sprintf("hdas %s --resume --out %s", command, live.Quote(whole))
}
