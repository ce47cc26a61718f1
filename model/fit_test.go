package model_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"hdas/internal/golden"
	"hdas/internal/torchtest"
	"hdas/model"
	"hdas/models/plan"
	"hdas/run"
	"hdas/torch"
	"hdas/weights"
)

// The error for weights of another network names the network that they fit.
func TestImportSaysWhichNetworkWouldFit(t *testing.T) {
	do(t, func() error {
		imagenet, _ := state(t, "darts/imagenet.safetensors")
		staging, _ := state(t, "hdas/derived.safetensors")
		cut := reference(t)
		cut.Entries = cut.Entries[3:]
		for name, c := range map[string]struct {
			file     weights.File
			genotype string
			preset   plan.Preset
			want     string
			lines    int // largest number of lines
		}{
			"the other preset":             {imagenet, chain, plan.CIFAR, "all fit --genotype DARTS_V2 --preset imagenet", 8},
			"another genotype":             {reference(t), "PDARTS", plan.CIFAR, "all fit --genotype DARTS_V2 --preset cifar", 8},
			"both":                         {imagenet, "GDAS_V1", plan.CIFAR, "all fit --genotype DARTS_V2 --preset imagenet", 8},
			"stages under the wrong cells": {staging, "PDARTS+Hs_DAS_CIFAR_stages", plan.CIFAR, "all fit --genotype DARTS_V1+Hs_DAS_CIFAR_stages --preset cifar", 8},
			"stages for a chain":           {staging, chain, plan.CIFAR, "all fit --genotype DARTS_V1+Hs_DAS_CIFAR_stages --preset cifar", 8},
			"another genotype, not all":    {cut, "PDARTS", plan.CIFAR, "they are nearer to --genotype DARTS_V2 --preset cifar, of which 3 do not fit", 5000},
			"nothing better":               {cut, chain, plan.CIFAR, "3 tensors do not fit:\nstem.0.weight", 4},
			"no network of this program":   {file(t, []weights.Entry{{Name: "layer1.conv", Array: weights.NewArray(torch.Float32, []int64{1}, make([]byte, 4))}}), chain, plan.CIFAR, "another network", 3},
		} {
			o := origin(t, c.genotype)
			o.Preset = c.preset
			_, _, err := model.Import(c.file, o)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "another network") {
				t.Errorf("%s: %.3000v does not say %q", name, err, c.want)
			} else if n := strings.Count(err.Error(), "\n") + 1; n > c.lines {
				t.Errorf("%s: %d lines", name, n)
			}
		}
		return nil
	})
}

// A checkpoint that describes another network than its tensors' is refused before the network is built.
func TestCheckpointsDescribeWhatTheyHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "imported.safetensors")
	do(t, func() error {
		c, _, err := model.Import(reference(t), origin(t, chain))
		if err != nil {
			return err
		}
		var d model.Description
		for what, change := range map[string]func(){
			"as it is":       func() {},
			"wider":          func() { d.Macro.Channels = 4096 },
			"much wider":     func() { d.Macro.Channels = 1 << 60 },
			"deeper":         func() { d.Macro.Layers = 1000 },
			"deeper than is": func() { d.Macro.Layers = 1 << 40 },
			"more classes":   func() { d.Macro.Classes = 1 << 40 },
			"other classes":  func() { d.Macro.Classes = -1 },
		} {
			original := c.Meta.Network
			if err := json.Unmarshal(original, &d); err != nil {
				return err
			}
			change()
			if c.Meta.Network, err = json.Marshal(d); err != nil {
				return err
			}
			if err := run.Write(path, c); err != nil {
				return err
			}
			c.Meta.Network = original
			before := torch.Live()
			m, _, err := model.Load(path, torchtest.Options(torch.Float32))
			if what == "as it is" {
				if err != nil {
					return err
				}
				m.Free()
				continue
			}
			if err == nil {
				m.Free()
				t.Errorf("%s: no error", what)
			} else if made := torch.Live() - before; made > int64(2*len(c.State["weights"])+2*len(c.State["batches"])) {
				t.Errorf("%s: %d tensors were made; %v", what, made, err)
			} else if len(err.Error()) > 400 {
				t.Errorf("%s: an error of %d bytes", what, len(err.Error()))
			}
		}
		return nil
	})
}

// Averaged models, counters of profilers and prefixes of names do not prevent an import.
func TestImportUnderOtherNames(t *testing.T) {
	do(t, func() error {
		f, err := weights.Read(golden.Path("darts/cifar_checkpoint.pth.tar"), "")
		if err != nil {
			return err
		}
		scalar := weights.NewArray(torch.Int64, nil, make([]byte, 8))
		for what, change := range map[string]func(entries []weights.Entry) []weights.Entry{
			"averaged": func(e []weights.Entry) []weights.Entry {
				for i := range e {
					e[i].Name = "module." + e[i].Name
				}
				return append(e, weights.Entry{Name: "n_averaged", Array: scalar})
			},
			"profiled": func(e []weights.Entry) []weights.Entry {
				one := weights.NewArray(torch.Float64, []int64{1}, make([]byte, 8))
				return append(e, weights.Entry{Name: "total_ops", Array: one}, weights.Entry{Name: "cells.0.total_params", Array: one})
			},
			"partly wrapped": func(e []weights.Entry) []weights.Entry {
				for i := range e {
					if strings.HasPrefix(e[i].Name, "cells.") {
						e[i].Name = "backbone.module." + e[i].Name
					}
				}
				return e
			},
		} {
			if _, d, err := model.Import(file(t, change(append([]weights.Entry(nil), f.Entries...))), origin(t, chain)); err != nil || d.Macro.Layers != 20 {
				t.Errorf("%s: %.500v", what, err)
			}
		}
		return nil
	})
}
