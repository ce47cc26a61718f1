package configs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hdas/setting"

	"hdas/models/plan"
)

// configuration is a Search or a Train.
type configuration interface {
	Validate() error
	YAML() ([]byte, error)
}

// loaders loads a configuration of each search, and of a training.
func loaders() map[string]func(Overrides) (configuration, error) {
	all := map[string]func(Overrides) (configuration, error){
		"train": func(o Overrides) (configuration, error) { return LoadTrain(o) },
	}
	for _, k := range Kinds {
		all[string(k)] = func(o Overrides) (configuration, error) { return LoadSearch(k, o) }
	}
	return all
}

// Every built-in configuration is one of a search or of a training. Saved and loaded again it is the
// same, and so are the defaults.
func TestSavedAndLoaded(t *testing.T) {
	for _, name := range append(Names(), "") {
		loaded := 0
		for kind, load := range loaders() {
			c, err := load(Overrides{File: name})
			if err != nil {
				continue
			}
			loaded++
			if err := c.Validate(); err != nil {
				t.Errorf("%s %s: %v", kind, name, err)
			}
			text, err := c.YAML()
			if err != nil {
				t.Fatal(err)
			}
			again, err := load(Overrides{File: file(t, text), Alone: true})
			if want, got := fmt.Sprintf("%+v", c), fmt.Sprintf("%+v", again); err != nil || got != want {
				t.Errorf("%s %s: %v; saved as\n%s\nit is loaded as\n%s\nnot\n%s", kind, name, err, text, got, want)
			}
		}
		if name != "" && loaded != 1 {
			t.Errorf("%s is the configuration of %d kinds, not of one", name, loaded)
		}
	}
}

// file returns the path of a new file with that text.
func file(t interface {
	TempDir() string
	Fatal(...any)
}, text []byte) string {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Defaults, file, environment, --set: the later wins.
func TestLayers(t *testing.T) {
	t.Setenv("HDAS_SEARCH_EPOCHS", "7")
	t.Setenv("HDAS_TRAIN_EPOCHS", "8") // of other configurations
	c, err := LoadSearch(StageSearch, Overrides{File: "tiny-stage", Set: []string{"search.batch=9", "search.lengths=[4,5,6]", "search.batch=1e1", "search.order=second"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Search.Epochs != 7 || c.Search.Batch != 10 || c.Search.Lengths[2] != 6 || c.Data.Name != "digits" || c.Search.Alpha.Beta1 != 0.5 || c.Search.Order != SecondOrder {
		t.Errorf("%+v", c)
	}
	text, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	for _, idle := range []string{"gamma", "nodes", "auxiliary"} {
		if bytes.Contains(text, []byte(idle)) {
			t.Errorf("the saved configuration has %s", idle)
		}
	}
	t.Setenv("HDAS_SEARCH_EPOCHS", "9")
	again, err := LoadSearch(StageSearch, Overrides{File: file(t, text), Alone: true})
	if err != nil || again.Search.Epochs != 7 {
		t.Errorf("a saved configuration takes %d epochs from the environment, %v", again.Search.Epochs, err)
	}
}

// Image files are seen at the size that the network's preset is made for.
func TestSizeOfImageFiles(t *testing.T) {
	for _, c := range []struct {
		set  []string
		size int
	}{
		{[]string{"data.name=folder"}, 224}, {[]string{"data.name=folder", "network.preset=cifar"}, 32}, {[]string{"data.name=folder", "data.size=64"}, 64}, {nil, 0}, {[]string{"data.size=48"}, 48},
		{[]string{"data.name=imagenet", "network.preset=imagenet"}, 224}, {[]string{"network.preset=imagenet"}, 224}, {[]string{"network.preset=imagenet", "data.size=0"}, 0},
	} {
		got, err := LoadTrain(Overrides{Set: c.set})
		if err != nil || got.Data.Size != c.size {
			t.Errorf("%v: size %d, %v", c.set, got.Data.Size, err)
		}
	}
	c, err := LoadTrain(Overrides{File: "hs-imagenet-train"})
	if err != nil || !c.Data.ResizedCrop || c.Data.Padding != 0 || c.Data.ColorJitter.Hue != 0.2 || c.Train.LabelSmoothing != 0.1 {
		t.Errorf("%+v, %v", c, err)
	}
}

// What cannot be is refused with the key that was written, its value and the reason.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ kind, set, key, text string }{
		{"cell", "search.epoch=1", "search.epoch", "search.epoch: unknown key; did you mean search.epochs?"},
		{"train", "data.color_jitter.tint=1", "data.color_jitter.tint", "unknown key; known are data.color_jitter.brightness"},
		{"cell", "search=3", "search", "unknown key"},
		{"cell", "search.weights=3", "search.weights", "unknown key"},
		{"cell", "search.epochs.x=3", "search.epochs.x", "unknown key"},
		{"cell", "=3", "", "unknown key"},

		{"cell", "search.epochs=many", "search.epochs", `search.epochs "many" is not an integer`},
		{"cell", "search.epochs=1.5", "search.epochs", "search.epochs 1.5 is not an integer"},
		{"cell", "search.epochs=", "search.epochs", `search.epochs "" is not an integer`},
		{"cell", "search.epochs=1e30", "search.epochs", "is not an integer"},
		{"cell", "search.epochs=18446744073709551615", "search.epochs", "is not an integer"},
		{"cell", "seed=-1", "seed", "seed -1 is not an integer of at least 0"},
		{"train", "data.fill=256", "data.fill", "is not an integer in 0..255"},
		{"cell", "search.shared=1", "search.shared", "is neither true nor false"},
		{"cell", "search.weights.lr=fast", "search.weights.lr", `"fast" is not a number`},
		{"cell", "search.epochs=[1", "search.epochs", `search.epochs "[1": yaml: `},
		{"stage", "search.lengths=3", "search.lengths", "search.lengths 3 is not a list"},
		{"stage", "search.lengths=[3,x]", "search.lengths", `search.lengths "x" is not an integer`},
		{"stage", "search.cells=[a]", "search.cells", "search.cells [a] is not a string"},

		{"cell", "search.order=frist", "search.order", `search.order "frist" is unknown; known are first, second`},
		{"stage", "search.depth_weights=heavy", "search.depth_weights", "known are softmax, raw, edge_softmax"},
		{"distribution", "search.theta=watts", "search.theta", "known are one, flops, parameters, latency"},
		{"cell", "search.derivation=guess", "search.derivation", "known are softmax, raw"},
		{"cell", "search.kind=cells", "search.kind", "known are cell, distribution, stage, joint"},
		{"cell", "search.kind=stage", "search.kind", "is not the requested kind of search, cell"},
		{"train", "train.schedule=cosinus", "train.schedule", "known are cosine, linear, step"},
		{"train", "data.damaged=warn", "data.damaged", "known are fail, skip"},
		{"train", "precision=fp8", "precision", "known are float32, float64, tf32, bf16, fp16"},

		{"cell", "search.gamma=1", "search.gamma", "distribution search only"},
		{"stage", "network.layers=8", "network.layers", "search.lengths"},
		{"cell", "data.mixup=1", "data.mixup", "in a training only"},
		{"cell", "network.auxiliary=true", "network.auxiliary", "no auxiliary head"},
		{"cell", "search.stop.window=3", "search.stop.window", "stop.ratio only"},

		{"stage", "search.cells=NOPE", "search.cells", `search.cells "NOPE": genotype "NOPE" is unknown`},
		{"stage", "search.cells=Hs_DAS_CIFAR_stages", "search.cells", "has no cells"},
		{"stage", "search.lengths=[1,6,6]", "search.lengths", "search.lengths [1 6 6] holds 1, which is not in 2..1000"},
		{"stage", "search.lengths=[6,6,1001]", "search.lengths", "holds 1001, which is not in 2..1000"},
		{"stage", "search.window=8", "search.window", "search.window 8 is not in 2..7 for a stage of 6 cells"},
		{"distribution", "search.min_cells=9", "search.min_cells", "is not in 2..8"},
		{"joint", "search.stage_specific=true search.lengths=[6,6,6,6]", "search.lengths", "normal4"},
		{"cell", "search.partial_channels=3", "search.partial_channels", "does not divide the network's 16 channels"},
		{"train", "train.min_lr=1", "train.min_lr", "is not in 0..0.025, the first learning rate"},
		{"train", "train.clip=0", "train.clip", "train.clip 0 is not in (0,1e12]"},
		{"train", "threads=-1", "threads", "threads -1 is not in 0..1024"},
		{"train", "data.workers=1025", "data.workers", "is not in 0..1024"},

		{"train", "data.name=mnist", "data.name", `data.name "mnist" is unknown; known are cifar10`},
		{"train", "data.resized_crop=true", "data.padding", "set padding=0"},
		{"train", "data.autoaugment=best", "data.autoaugment", `data.autoaugment "best" is unknown; known are none, `},
		{"train", "data.color_jitter.hue=0.7", "data.color_jitter.hue", "is not in [0,0.5]"},
		{"train", "data.test_fraction=0.5", "data.test_fraction", "has its own split"},
		{"train", "data.split_seed=1", "data.split_seed", "has its own split"},
		{"train", "data.resize=100", "data.resize", "data.resize 100 is for image"},
		{"train", "data.crop_scale=[0.2,1]", "data.crop_scale", "which is off"},
		{"train", "data.mixup=-1", "data.mixup", "data.mixup -1 is not in [0,100]"},
		{"train", "data.mean=[1,1]", "data.mean", "is not three numbers"},
	} {
		_, err := loaders()[c.kind](Overrides{Set: strings.Fields(c.set)})
		if faults := setting.All(err); err == nil || !strings.Contains(err.Error(), c.text) ||
			!slices.ContainsFunc(faults, func(f *setting.Fault) bool { return f.Key == c.key && strings.Contains(f.Error(), c.text) }) {
			t.Errorf("%s %s: %v\nis no fault of %q with %q", c.kind, c.set, err, c.key, c.text)
		}
	}
	if _, err := LoadTrain(Overrides{Set: []string{"train"}}); err == nil || !strings.Contains(err.Error(), "not of the form key=value") {
		t.Errorf("--set train: %v", err)
	}
	for text, words := range map[string]string{"[1]": "keys with values are needed", "search: {epochs: 0, batch: 1}": "batch 1", "a: {b": "yaml"} {
		if _, err := LoadSearch(CellSearch, Overrides{File: file(t, []byte(text))}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("the file %s: %v does not say %q", text, err, words)
		}
	}
	if _, err := LoadTrain(Overrides{File: "nowhere"}); err == nil || !strings.Contains(err.Error(), "tiny-train") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// No text makes the loader panic: files and single settings of random YAML and of random bytes.
func TestRandomTexts(t *testing.T) {
	all := loaders()
	kinds := slices.Sorted(func(yield func(string) bool) {
		for kind := range all {
			if !yield(kind) {
				return
			}
		}
	})
	folder := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		value := rapid.OneOf(
			rapid.SampledFrom([]string{"", "0", "-1", "1e400", ".nan", "-.inf", "~", "[]", "{}", "[[1]]", "{1: 2}", "true", "x", "2001-01-01", "0x1p-2", "&a [*a]", "!!binary aGk=", "? a", "<<: *b", "\"\\x00\"", "18446744073709551615", "[1,2,3]", "999999999"}),
			rapid.String(), rapid.StringMatching(`[\[\]{}:,&*!|>'"%@?~\- \n\tab01.]{0,20}`))
		key := rapid.OneOf(rapid.SampledFrom(Keys()), rapid.StringMatching(`[a-z.]{0,8}`), rapid.String())
		var o Overrides
		for range rapid.IntRange(0, 3).Draw(r, "settings") {
			o.Set = append(o.Set, key.Draw(r, "key")+"="+value.Draw(r, "value"))
		}
		if rapid.Bool().Draw(r, "with a file") {
			text := value.Draw(r, "file")
			for range rapid.IntRange(0, 3).Draw(r, "lines") {
				section, last, ok := strings.Cut(key.Draw(r, "key"), ".")
				text += "\n" + section + ": "
				if ok {
					text += "\n  " + last + ": "
				}
				text += value.Draw(r, "value")
			}
			o.File = filepath.Join(folder, "config.yaml")
			if err := os.WriteFile(o.File, []byte(text), 0o644); err != nil {
				r.Fatal(err)
			}
		}
		c, err := all[rapid.SampledFrom(kinds).Draw(r, "kind")](o)
		if err == nil && c.Validate() != nil {
			r.Errorf("%q is loaded and not valid: %v", o.Set, c.Validate())
		}
	})
}

// A training that starts from a checkpoint has its network, its images and its normalisation; what is given wins, but
// for the network, which must be the checkpoint's.
func TestStart(t *testing.T) {
	from := Start{Network: plan.Macro{Preset: plan.ImageNet, Channels: 7, Layers: 9, PoolNorm: plan.PoolNormOff, Wiring: plan.Summed, StageOutput: plan.LastTwo}, Form: Chain, Size: 96, Mean: []float64{0.1, 0.2, 0.3}, Std: []float64{0.4, 0.5, 0.6}}
	load := func(err error, set ...string) (Train, error) {
		return LoadTrain(Overrides{File: "finetune", Set: set, Start: func(path string) (Start, error) {
			if path != "x" {
				t.Errorf("path %q", path)
			}
			return from, err
		}})
	}
	c, err := load(nil, "train.init=x")
	if err != nil || c.Network != from.Network || c.Data.Size != 96 || !slices.Equal(c.Data.Std, from.Std) || !c.Data.ResizedCrop || c.Train.FreezeEpochs == 0 {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = load(nil, "train.init=x", "data.size=64", "data.mean=[0.5,0.5,0.5]", "data.std=[0.5,0.5,0.5]", "network.auxiliary=true", "network.layers=9")
	if err != nil || c.Data.Size != 64 || c.Data.Mean[0] != 0.5 || !c.Network.Auxiliary {
		t.Errorf("%+v, %v", c, err)
	}
	text, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadTrain(Overrides{File: file(t, text), Alone: true, Form: Chain})
	if text2, _ := again.YAML(); err != nil || !bytes.Equal(text, text2) {
		t.Errorf("saved %s, loaded %s, %v", text, text2, err)
	}
	if _, err := load(nil, "train.init=x", "network.channels=8"); err == nil || !strings.Contains(err.Error(), "network.channels 8 is not that of the checkpoint to start from, 7") {
		t.Errorf("another network: %v", err)
	}
	if _, err := load(errors.New("nothing there"), "train.init=x"); err == nil || !strings.Contains(err.Error(), `train.init "x": nothing there`) {
		t.Errorf("no checkpoint: %v", err)
	}
	if c, err := load(nil); err != nil || c.Train.FreezeEpochs != 0 {
		t.Errorf("without a checkpoint: %+v, %v", c, err)
	}
}
