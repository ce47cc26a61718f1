package configs

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hdas/setting"
)

func TestImpossibleConfigurations(t *testing.T) {
	for _, c := range []struct {
		kind  Kind
		set   func(*SearchSection)
		words string
	}{
		{CellSearch, func(c *SearchSection) { c.Order = "third" }, "first, second"},
		{CellSearch, func(c *SearchSection) { c.Derivation = "guess" }, "softmax, raw"},
		{CellSearch, func(c *SearchSection) { c.Derivation, c.EdgeNormalization = DerivationRaw, true }, "may be negative"},
		{CellSearch, func(c *SearchSection) { c.PartialChannels = 0 }, "partial_channels 0"},
		{CellSearch, func(c *SearchSection) { c.MaxSkips = -2 }, "max_skips -2"},
		{CellSearch, func(c *SearchSection) { c.MaxSkips, c.CellPrimitives = 2, []string{"none", "skip_connect"} }, "could replace a skip"},
		{CellSearch, func(c *SearchSection) { c.Alpha.Warmup = 50 }, "at least one is for the architecture"},
		{CellSearch, func(c *SearchSection) { c.Stop.Ratio = 1 }, "[0,1)"},
		{CellSearch, func(c *SearchSection) { c.Stop.Ratio, c.Epochs = 0.75, 10 }, "more than 10 epochs"},
		{CellSearch, func(c *SearchSection) { c.CheckpointSteps = -1 }, "is not in 0.."},
		{CellSearch, func(c *SearchSection) { c.CellPrimitives = []string{"sep_conv_3x3"} }, "one candidate only"},
		{StageSearch, func(c *SearchSection) { c.Window = 8 }, "window 8"},
		{StageSearch, func(c *SearchSection) { c.Window = 1 }, "window 1"},
		{StageSearch, func(c *SearchSection) { c.Shared, c.Lengths = true, []int{6, 6, 5} }, "one and the same DAG"},
		{StageSearch, func(c *SearchSection) { c.DepthWeights = "heavy" }, "edge_softmax"},
		{StageSearch, func(c *SearchSection) { c.DepthWeights, c.EdgeNormalization = DepthRaw, true }, "reads alphas alone"},
		{StageSearch, func(c *SearchSection) { c.Cells = "Hs_DAS_CIFAR_stages" }, "has no cells"},
		{DistributionSearch, func(c *SearchSection) { c.MinCells = 0 }, "decides the number of cells"},
		{DistributionSearch, func(c *SearchSection) { c.Theta = "watts" }, "latency"},
		{JointSearch, func(c *SearchSection) { c.MinCells, c.Theta = 4, ThetaFLOPs }, "before it has found the cell"},
		{JointSearch, func(c *SearchSection) { c.StageSpecific, c.Lengths = true, []int{2, 2, 2, 2} }, "normal4"},
	} {
		config := DefaultSearchSection(c.kind)
		c.set(&config)
		if err := config.Validate(); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s search: %v does not say %q", c.kind, err, c.words)
		}
	}
}

func TestTrainSectionNamesEveryFault(t *testing.T) {
	c := TrainSection{Schedule: "x", Momentum: 2, DropPath: 1}
	err := c.Validate()
	for _, word := range []string{"epochs", "batch", "lr", "schedule", "momentum", "clip", "drop_path"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not name %s", err, word)
		}
	}
}

// floats returns a pointer to every number of a section that is a float, by its key.
func floats(key string, v reflect.Value, visit func(key string, set func(float64))) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			floats(strings.Trim(key+"."+name, "."), v.Field(i), visit)
		}
	case reflect.Float64:
		visit(key, v.SetFloat)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Float64 {
			visit(key, func(x float64) { v.Set(reflect.ValueOf([]float64{x, x, x})) })
		}
	}
}

// No number may be NaN or infinite, whether it is read or set by a Go program.
func TestNumbersAreFinite(t *testing.T) {
	tested := 0
	check := func(kind string, fresh func() (c configuration, fields reflect.Value)) {
		_, fields := fresh()
		var keys []string
		floats("", fields, func(key string, _ func(float64)) { keys = append(keys, key) })
		for _, key := range keys {
			for text, x := range map[string]float64{".nan": math.NaN(), ".inf": math.Inf(1), "-.inf": math.Inf(-1)} {
				tested++
				c, fields := fresh()
				floats("", fields, func(k string, set func(float64)) {
					if k == key {
						set(x)
					}
				})
				list := text
				if key == "data.mean" || key == "data.std" || strings.HasPrefix(key, "data.crop_") {
					list = "[" + text + "," + text + "," + text + "]"
				}
				_, loaded := loaders()[kind](Overrides{Set: []string{key + "=" + list}})
				for how, err := range map[string]error{"in Go": c.Validate(), "read": loaded} {
					if !slices.ContainsFunc(setting.All(err), func(f *setting.Fault) bool { return f.Key == key }) {
						t.Errorf("%s, %s=%s %s: %v is no fault of that key", kind, key, list, how, err)
					}
				}
			}
		}
	}
	check("train", func() (configuration, reflect.Value) {
		c := DefaultTrain()
		return &c, reflect.ValueOf(&c).Elem()
	})
	for _, k := range Kinds {
		check(string(k), func() (configuration, reflect.Value) {
			c := DefaultSearch(k)
			return &c, reflect.ValueOf(&c).Elem()
		})
	}
	if tested < 300 {
		t.Errorf("only %d numbers", tested)
	}
}

// Every number of a configuration has a range, which its fault says, in a Go program and where it is read.
// Numbers that are used together fit into 64 bits.
func TestEveryNumberHasARange(t *testing.T) {
	others := []string{"data.mean", "data.std", "data.resize", "data.test_fraction", "data.crop_scale", "data.crop_ratio", "data.cutmix", "data.mixup",
		"search.alpha.warmup", "search.weights.min_lr", "search.partial_channels", "train.min_lr", "train.warmup", "train.freeze_epochs"}
	tested := map[string]bool{}
	check := func(kind string, c configuration, idle map[string]string) {
		var visit func(key, allowed string, v reflect.Value)
		visit = func(key, allowed string, v reflect.Value) {
			if _, unused := idle[key]; unused {
				return
			}
			was := reflect.New(v.Type()).Elem()
			was.Set(v)
			switch v.Kind() {
			case reflect.Struct:
				for i := range v.NumField() {
					if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ","); name != "-" {
						visit(strings.Trim(key+"."+name, "."), v.Type().Field(i).Tag.Get("range"), v.Field(i))
					}
				}
				return
			case reflect.Int, reflect.Int64:
				v.SetInt(math.MaxInt64)
			case reflect.Float64:
				v.SetFloat(1e300)
			case reflect.Slice:
				switch list := v.Addr().Interface().(type) {
				case *[]int:
					*list = []int{3, math.MaxInt64}
				case *[]float64:
					*list = []float64{0.1, 1e300}
				default:
					return
				}
			default:
				return
			}
			tested[key] = true
			if allowed == "" {
				t.Errorf("%s: %s has no range", kind, key)
			}
			text := "9223372036854775807"
			if v.Kind() == reflect.Float64 {
				text = "1e300"
			} else if v.Kind() == reflect.Slice {
				text = strings.ReplaceAll(fmt.Sprint(v), " ", ",")
			}
			_, loaded := loaders()[kind](Overrides{Set: []string{key + "=" + text}})
			for how, err := range map[string]error{"in Go": c.Validate(), "read": loaded} {
				if !slices.ContainsFunc(setting.All(err), func(f *setting.Fault) bool {
					// Some have another fault beside it, which is said first.
					return f.Key == key && (strings.Contains(f.Why, "not in "+allowed) || slices.Contains(others, key))
				}) {
					t.Errorf("%s, %s=%s %s: %v does not say that it is not in %s", kind, key, text, how, err, allowed)
				}
			}
			v.Set(was)
		}
		visit("", "", reflect.ValueOf(c).Elem())
	}
	train := DefaultTrain()
	check("train", &train, train.idle())
	for _, k := range Kinds {
		c := DefaultSearch(k)
		check(string(k), &c, c.idle())
	}
	if len(tested) < 50 {
		t.Errorf("only the keys %v", tested)
	}
}

// Every setting that is one of a closed set of words refuses others, in every configuration.
func TestWordsAreKnown(t *testing.T) {
	tested := map[reflect.Type]bool{}
	var words func(key string, v reflect.Value, validate func() error)
	words = func(key string, v reflect.Value, validate func() error) {
		if v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
				words(strings.Trim(key+"."+name, "."), v.Field(i), validate)
			}
			return
		}
		if _, closed := v.Addr().Interface().(encoding.TextUnmarshaler); !closed {
			return
		}
		tested[v.Type()] = true
		was := v.String()
		v.SetString("frist")
		if err := validate(); !slices.ContainsFunc(setting.All(err), func(f *setting.Fault) bool {
			return f.Key == key && f.Value == v.Interface() && strings.Contains(f.Why, "is unknown; known are ")
		}) {
			t.Errorf("%s %q: %v", key, "frist", err)
		}
		v.SetString(was)
	}
	for _, k := range Kinds {
		c := DefaultSearch(k)
		words("", reflect.ValueOf(&c).Elem(), func() error { return c.Validate() })
	}
	c := DefaultTrain()
	words("", reflect.ValueOf(&c).Elem(), func() error { return c.Validate() })
	if len(tested) < 7 {
		t.Errorf("only the types %v", tested)
	}
}

// What is fastest is not the same each time.
func TestDeterministicWithoutBenchmark(t *testing.T) {
	c := DefaultTrain()
	c.CUDA.Deterministic = true
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.CUDA.Benchmark = true
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "cuda.benchmark") || !strings.Contains(err.Error(), "cuda.deterministic") {
		t.Error(err)
	}
}
