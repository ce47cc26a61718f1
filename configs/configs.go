// Package configs reads configurations: the defaults of the structs, over them a file, over that
// the environment, over that single settings. Unknown keys and impossible values are errors.
package configs

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"hdas/models/plan"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"

	"hdas/datasets"
	"hdas/search"
	"hdas/torch"
	"hdas/train"
)

// Common is what every run has.
type Common struct {
	Seed      uint64     `mapstructure:"seed" yaml:"seed"`
	Device    string     `mapstructure:"device" yaml:"device"`       // auto, cpu, cuda, cuda:N
	Threads   int        `mapstructure:"threads" yaml:"threads"`     // of operations on the CPU; 0: libtorch's choice
	Precision string     `mapstructure:"precision" yaml:"precision"` // float32 (fp32), float64; bf16, fp16: float32 weights, convolutions in that type
	Data      Data       `mapstructure:"data" yaml:"data"`
	Network   plan.Macro `mapstructure:"network" yaml:"network"`
}

// Data says which images, and how they are augmented.
type Data struct {
	datasets.Spec      `mapstructure:",squash" yaml:",inline"`
	Workers            int    `mapstructure:"workers" yaml:"workers"` // of the loader; 0: one for each processor
	Damaged            string `mapstructure:"damaged" yaml:"damaged"` // what image files do that cannot be decoded: fail, skip
	datasets.Transform `mapstructure:",squash" yaml:",inline"`
}

// What becomes of a run whose data has damaged files.
const (
	Fail = "fail" // it ends
	Skip = "skip" // it goes on without them, and names them
)

// Validate names every impossible value.
func (d Data) Validate() error {
	var faults []error
	if d.Workers < 0 || d.Workers > 1024 {
		faults = append(faults, fmt.Errorf("workers: %d is not in 0..1024", d.Workers))
	}
	if d.Damaged != Fail && d.Damaged != Skip {
		faults = append(faults, fmt.Errorf("damaged: %q is unknown; known are %s, %s", d.Damaged, Fail, Skip))
	}
	return errors.Join(append(faults, d.Spec.Validate(), d.Transform.Validate())...)
}

// Search is a search's configuration.
type Search struct {
	Common `mapstructure:",squash" yaml:",inline"`
	Search search.Config `mapstructure:"search" yaml:"search"`
}

// Train is a training's configuration.
type Train struct {
	Common `mapstructure:",squash" yaml:",inline"`
	Train  train.Config `mapstructure:"train" yaml:"train"`
}

// DefaultSearch is the paper's search of that kind, on CIFAR-10.
func DefaultSearch(k search.Kind) Search {
	c := Search{common(16, 8), search.Default(k)}
	c.Data.Cutout = 0
	return c
}

// DefaultTrain is the paper's training of a found network on CIFAR-10.
func DefaultTrain() Train {
	c := Train{common(36, 20), train.Default()}
	c.Network.Auxiliary = true
	return c
}

func common(channels int64, layers int) Common {
	return Common{
		Device: "auto", Precision: "float32",
		Data: Data{
			Spec: datasets.Spec{Name: "cifar10", Interpolation: "bilinear"}, Damaged: Fail,
			Transform: datasets.Transform{Padding: 4, Flip: true, Cutout: 16, AutoAugment: "none", RandAugment: datasets.RandAugment{Magnitude: 9}},
		},
		Network: plan.Macro{Preset: plan.CIFAR, Channels: channels, Layers: layers, PoolNorm: "auto", Wiring: plan.Summed, StageOutput: plan.LastTwo},
	}
}

// settle fills in what hangs on other settings: image files are seen at the size that the network's
// preset is made for.
func (c *Common) settle() {
	if c.Data.Size == 0 && datasets.OfFiles(c.Data.Name) && c.Network.Preset == plan.CIFAR {
		c.Data.Size = 32
	}
}

func (c Common) validate() error {
	var faults []error
	if c.Threads < 0 || c.Threads > 1024 {
		faults = append(faults, fmt.Errorf("threads: %d is not in 0..1024", c.Threads))
	}
	if _, err := torch.ParsePrecision(c.Precision, torch.CUDA(0)); err != nil { // the device is found later
		faults = append(faults, err)
	}
	m := c.Network
	m.Classes = 1 // comes with the data
	return errors.Join(append(faults, in("data", c.Data.Validate()), in("network", m.Validate()))...)
}

// Validate names every impossible value.
func (c Search) Validate() error {
	faults := []error{c.Common.validate(), in("search", c.Search.Validate())}
	if p := int64(c.Search.PartialChannels); p > 1 && c.Network.Channels%p != 0 {
		faults = append(faults, fmt.Errorf("search.partial_channels: network.channels %d do not divide by %d", c.Network.Channels, p))
	}
	if p := c.Precision; (p == "bf16" || p == "fp16") && c.Search.Order == search.OrderSecond {
		faults = append(faults, fmt.Errorf("precision: %s is too coarse for the finite difference of search.order=second; use float32", p))
	}
	return errors.Join(faults...)
}

// Validate names every impossible value.
func (c Train) Validate() error {
	return errors.Join(c.Common.validate(), in("train", c.Train.Validate()))
}

// in puts the section before each fault.
func in(section string, err error) error {
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	faults := make([]error, len(lines))
	for i, line := range lines {
		faults[i] = errors.New(section + "." + line)
	}
	return errors.Join(faults...)
}

// Overrides are what stands above a struct's defaults, the last one winning.
type Overrides struct {
	File string   // a built-in configuration's name, or a YAML file; empty: none
	Set  []string // key=value, the value as YAML
	// Alone keeps the environment out: the file is the saved configuration of a run.
	Alone bool
}

// LoadSearch reads the configuration of a search of that kind.
func LoadSearch(k search.Kind, o Overrides) (Search, error) {
	c := DefaultSearch(k)
	given, err := load(&c, o)
	if err != nil {
		return c, err
	}
	var faults []error
	for key, why := range c.idle() {
		if slices.Contains(given, key) {
			faults = append(faults, fmt.Errorf("%s: %s", key, why))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return c, err
	}
	c.settle()
	if c.Search.Kind != k {
		return c, fmt.Errorf("search.kind: the configuration is for a %s search, not a %s search", c.Search.Kind, k)
	}
	return c, c.Validate()
}

// idle are the keys that a search has no use for, each with the reason.
func (c Search) idle() map[string]string {
	keys := map[string]string{"network.auxiliary": "a supernet has no auxiliary head"}
	for _, key := range []string{"network.wiring", "network.stage_output"} {
		keys[key] = "the searches relax the summed wiring (H-DAS eq. 1); that of the network found is its training's to say"
	}
	for _, key := range []string{"data.mixup", "data.cutmix"} {
		keys[key] = "a search learns from whole images; it has a use in a training only"
	}
	if c.Search.Kind != search.Cell {
		keys["network.layers"] = "the stages have their own number of cells: search.lengths"
	}
	for key, why := range c.Search.Idle() {
		keys["search."+key] = why
	}
	return keys
}

// LoadTrain reads the configuration of a training.
func LoadTrain(o Overrides) (Train, error) {
	c := DefaultTrain()
	if _, err := load(&c, o); err != nil {
		return c, err
	}
	c.settle()
	return c, c.Validate()
}

// load changes c, a pointer to a struct of defaults, and returns the keys that were given.
func load(c any, o Overrides) (given []string, err error) {
	defaults, err := asMap(c)
	if err != nil {
		return nil, err
	}
	known := keys("", defaults)
	v := viper.New()
	v.SetConfigType("yaml")
	if o.File != "" {
		text, err := read(o.File)
		if err != nil {
			return nil, err
		}
		if err := v.ReadConfig(bytes.NewReader(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", o.File, err)
		}
	}
	for _, key := range known {
		if text, ok := os.LookupEnv(envName(key)); ok && !o.Alone {
			if err := set(v, key, text); err != nil {
				return nil, fmt.Errorf("%s: %w", envName(key), err)
			}
		}
	}
	for _, s := range o.Set {
		key, text, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fmt.Errorf("--set %s: not of the form key=value", s)
		}
		if err := set(v, strings.TrimSpace(key), text); err != nil {
			return nil, fmt.Errorf("--set %s: %w", s, err)
		}
	}
	var faults []error
	for _, key := range v.AllKeys() {
		if !slices.Contains(known, key) {
			faults = append(faults, fmt.Errorf("%s: unknown key; known are %s", key, strings.Join(near(key, known), ", ")))
		}
	}
	faults = append(faults, strangers()...)
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	hook := viper.DecodeHook(mapstructure.DecodeHookFuncType(whole))
	strict := func(d *mapstructure.DecoderConfig) { d.WeaklyTypedInput = false }
	if err := v.UnmarshalExact(c, hook, strict); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return v.AllKeys(), nil
}

// whole refuses numbers that an integer would cut.
func whole(from, to reflect.Type, value any) (any, error) {
	f, isFloat := value.(float64)
	if isFloat && (to.Kind() == reflect.Int || to.Kind() == reflect.Int64 || to.Kind() == reflect.Uint64 || to.Kind() == reflect.Uint8) && f != float64(int64(f)) {
		return nil, fmt.Errorf("%v is no whole number", f)
	}
	if n, isInt := value.(int); isInt && to.Kind() == reflect.Uint8 && (n < 0 || n > 255) {
		return nil, fmt.Errorf("%d is not in 0..255", n)
	}
	return value, nil
}

func set(v *viper.Viper, key, text string) error {
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return err
	}
	if value == nil {
		value = ""
	}
	v.Set(key, value)
	return nil
}

// envName is the environment variable of a key: search.lr is HDAS_SEARCH_LR.
func envName(key string) string {
	return "HDAS_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// strangers are the HDAS_ variables that no configuration knows.
func strangers() []error {
	names := map[string]bool{"HDAS_DATA": true, "HDAS_CACHE": true}
	s, t := DefaultSearch(search.Cell), DefaultTrain()
	for _, c := range []any{&s, &t} {
		if m, err := asMap(c); err == nil {
			for _, key := range keys("", m) {
				names[envName(key)] = true
			}
		}
	}
	var faults []error
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "HDAS_") && !names[name] {
			faults = append(faults, fmt.Errorf("environment variable %s: no setting of that name", name))
		}
	}
	return faults
}

// asMap is a configuration as the YAML that it is saved as.
func asMap(c any) (map[string]any, error) {
	text, err := yaml.Marshal(c)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	return m, yaml.Unmarshal(text, &m)
}

// keys are the dotted names of all values, sorted.
func keys(prefix string, m map[string]any) []string {
	var out []string
	for k, v := range m {
		if section, ok := v.(map[string]any); ok {
			out = append(out, keys(prefix+k+".", section)...)
		} else {
			out = append(out, prefix+k)
		}
	}
	slices.Sort(out)
	return out
}

// near are the known keys of the same section, or all where it is none.
func near(key string, known []string) []string {
	section := key[:strings.LastIndex(key, ".")+1]
	var out []string
	for _, k := range known {
		if strings.HasPrefix(k, section) && !strings.Contains(k[len(section):], ".") {
			out = append(out, k)
		}
	}
	if len(out) == 0 || section == "" {
		return known
	}
	return out
}

// Adding a built-in configuration is adding its file.
//
//go:embed *.yaml
var builtin embed.FS

// Names are the built-in configurations.
func Names() []string {
	files, err := fs.Glob(builtin, "*.yaml")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".yaml")
	}
	return files
}

func read(nameOrFile string) ([]byte, error) {
	if slices.Contains(Names(), nameOrFile) {
		return builtin.ReadFile(nameOrFile + ".yaml")
	}
	text, err := os.ReadFile(nameOrFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("configuration %q is neither built in (%s) nor a file", nameOrFile, strings.Join(Names(), ", "))
	}
	return text, err
}

// YAML is the configuration as it is saved with its run: every setting that the search uses.
func (c Search) YAML() ([]byte, error) { return resolved(c, c.idle()) }

// YAML is the configuration as it is saved with its run.
func (c Train) YAML() ([]byte, error) { return resolved(c, nil) }

func resolved(c any, without map[string]string) ([]byte, error) {
	var doc yaml.Node
	if err := doc.Encode(c); err != nil {
		return nil, err
	}
	prune(&doc, "", without)
	return yaml.Marshal(&doc)
}

func prune(n *yaml.Node, prefix string, without map[string]string) {
	var kept []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if _, drop := without[prefix+key.Value]; drop {
			continue
		}
		if value.Kind == yaml.MappingNode {
			prune(value, prefix+key.Value+".", without)
		}
		kept = append(kept, key, value)
	}
	n.Content = kept
}
