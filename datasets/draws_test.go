package datasets

import (
	"image"
	"math"
	"strings"
	"testing"
)

// counted tests that the fraction of n draws is p, within five standard deviations.
func counted(t *testing.T, what string, got, n int, p float64) {
	t.Helper()
	if dev := math.Abs(float64(got)-p*float64(n)) / math.Sqrt(float64(n)*p*(1-p)+1e-9); dev > 5 {
		t.Errorf("%s: %d of %d draws, not %.4f of them", what, got, n, p)
	}
}

// bins counts values in ten equal parts of [low,high).
type bins struct {
	low, high float64
	counts    [10]int
}

func (b *bins) add(t *testing.T, v float64) {
	k := int(10 * (v - b.low) / (b.high - b.low))
	if v == b.high { // where an end is possible
		k = 9
	}
	if k < 0 || k > 9 {
		t.Fatalf("%v is not in [%v,%v]", v, b.low, b.high)
	}
	b.counts[k]++
}

const manyDraws = 40_000

func TestJitterIsUniform(t *testing.T) {
	p := newPipeline(Transform{ColorJitter: ColorJitter{0.4, 0.3, 1.5, 0.2}}, cifar10.info, 0)
	brightness, contrast, saturation, hue := bins{low: 0.6, high: 1.4}, bins{low: 0.7, high: 1.3}, bins{low: 0, high: 2.5}, bins{low: -0.2, high: 0.2}
	orders := map[[4]int]int{}
	for i := range manyDraws {
		d := p.draw(stream(5, "jitter").at(i)).jitter
		orders[d.order]++
		brightness.add(t, d.brightness)
		contrast.add(t, d.contrast)
		saturation.add(t, d.saturation)
		hue.add(t, d.hue)
	}
	var counts []int
	for _, n := range orders {
		counts = append(counts, n)
	}
	if len(counts) != 24 {
		t.Errorf("%d orders of 24", len(counts))
	}
	uniform(t, "orders", counts)
	for what, b := range map[string]bins{"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue} {
		uniform(t, what, b.counts[:])
	}
}

// Sub-policies have equal probabilities, their operations have the stated ones, and both signs are equally likely.
func TestAutoAugmentDrawsAsItSays(t *testing.T) {
	// Some pairs of the 25 sub-policies have the same operations, so they are identified by their index.
	policy := make([]subPolicy, 5)
	for k := range policy {
		policy[k] = subPolicy{{rotate, 0.2 * float64(k), k}, {colour, 1, k}}
	}
	subs, first, negative := make([]int, 5), make([]int, 5), 0
	for i := range manyDraws {
		var r random
		r.seed(stream(6, "policy").at(i))
		steps := auto(&r, policy, 32, 32)
		k := int(math.Round(math.Abs(steps[1].strength) * 10)) // of 0, 0.1, .., 0.4
		subs[k]++
		if steps[0].op == rotate {
			first[k]++
		}
		if steps[1].strength < 0 || k == 0 && math.Signbit(steps[1].strength) {
			negative++
		}
	}
	uniform(t, "sub-policies", subs)
	for k, n := range first {
		counted(t, "first operation", n, subs[k], 0.2*float64(k))
	}
	counted(t, "negative", negative, manyDraws, 0.5)
}

func TestRandAugmentIsUniform(t *testing.T) {
	ops, negative, signed := make([]int, invert), 0, 0
	for i := range manyDraws {
		var r random
		r.seed(stream(7, "rand").at(i))
		steps := RandAugment{Ops: 3, Magnitude: 9}.draw(&r, 32, 32)
		for _, s := range steps[:3] {
			ops[s.op]++
			if operations[s.op].signed {
				signed++
				if s.strength < 0 {
					negative++
				}
			}
		}
		if steps[3].op != identity {
			t.Fatal("a fourth operation")
		}
	}
	uniform(t, "operations", ops)
	counted(t, "negative", negative, signed, 0.5)
}

// Areas, ratios and positions of crops are uniformly distributed.
func TestResizedCropIsUniform(t *testing.T) {
	p := newPipeline(Transform{ResizedCrop: true, CropScale: []float64{0.08, 0.3}}, cifar10.info, 0)
	const h, w = 3000, 3000 // where none fails
	area, ratio, top, left := bins{low: 0.08, high: 0.3}, bins{low: math.Log(3. / 4), high: math.Log(4. / 3)}, bins{high: 1}, bins{high: 1}
	for i := range manyDraws {
		b := p.box(stream(8, "box").at(i), h, w)
		area.add(t, min(max(float64(b.Dx()*b.Dy())/(h*w), 0.08), 0.3))
		ratio.add(t, min(max(math.Log(float64(b.Dx())/float64(b.Dy())), ratio.low), ratio.high))
		top.add(t, (float64(b.Min.Y)+0.5)/float64(h-b.Dy()+1))
		left.add(t, (float64(b.Min.X)+0.5)/float64(w-b.Dx()+1))
	}
	for what, b := range map[string]bins{"area": area, "ratio": ratio, "top": top, "left": left} {
		uniform(t, what, b.counts[:])
	}
}

func TestErasingIsDrawnAsItSays(t *testing.T) {
	p := newPipeline(Transform{Erasing: 0.25}, Info{Channels: 3, Height: 2000, Width: 2000, Mean: make([]float64, 3), Std: []float64{1, 1, 1}}, 0)
	erased, area := 0, bins{low: 0.02, high: 0.33}
	for i := range manyDraws {
		if e := p.draw(stream(9, "erase").at(i)).erased; !e.Empty() {
			erased++
			if e.Min.X < 0 || e.Min.Y < 0 || e.Max.X > 2000 || e.Max.Y > 2000 {
				t.Fatalf("%v is not in the image", e)
			}
			area.add(t, min(max(float64(e.Dx()*e.Dy())/(2000*2000), 0.02), 0.33))
		}
	}
	counted(t, "erased", erased, manyDraws, 0.25)
	uniform(t, "areas", area.counts[:])
}

// The mean of the symmetric beta distribution is 1/2 and its variance 1/(4(2a+1)).
func TestBeta(t *testing.T) {
	for _, a := range []float64{0.01, 0.2, 1, 1.5, 8} {
		var sum, squares float64
		r := rng(10, "beta", int(100*a))
		for range manyDraws {
			v := r.beta(a)
			if !(v >= 0 && v <= 1) {
				t.Fatalf("beta(%v) draws %v", a, v)
			}
			sum += v
			squares += (v - 0.5) * (v - 0.5)
		}
		want := 1 / (4 * (2*a + 1))
		if mean, variance := sum/manyDraws, squares/manyDraws; math.Abs(mean-0.5) > 5*math.Sqrt(want/manyDraws) || math.Abs(variance/want-1) > 0.03 {
			t.Errorf("beta(%v) has the mean %v and the variance %v, not 1/2 and %v", a, mean, variance, want)
		}
	}
	r, counts := rng(11, "beta"), bins{high: 1}
	for range manyDraws {
		counts.add(t, r.beta(1))
	}
	uniform(t, "beta(1)", counts.counts[:])
}

// A step switched on must not change what the others draw.
func TestStepsDrawApart(t *testing.T) {
	all := Transform{Padding: 4, Flip: true, Cutout: 8, AutoAugment: "imagenet", ColorJitter: ColorJitter{0.4, 0.4, 0.4, 0.1}, Erasing: 1}
	full := newPipeline(all, cifar10.info, 0)
	for i := range 50 {
		k := stream(12, "apart").at(i)
		want := full.draw(k)
		for what, without := range map[string]func(*Transform, *draws){
			"autoaugment": func(t *Transform, d *draws) { t.AutoAugment, d.steps = "none", [maxRandOps]step{} },
			"jitter":      func(t *Transform, d *draws) { t.ColorJitter, d.jitter = ColorJitter{}, jitter{} },
			"erasing":     func(t *Transform, d *draws) { t.Erasing, d.erased = 0, image.Rectangle{} },
			"cutout":      func(t *Transform, d *draws) { t.Cutout = 0 },
		} {
			some, left := all, want
			without(&some, &left)
			p := newPipeline(some, cifar10.info, 0)
			got := p.draw(k)
			if got != left {
				t.Fatalf("without %s: %+v, not %+v", what, got, left)
			}
		}
	}
}

func TestTransformRefuses(t *testing.T) {
	for want, bad := range map[string]Transform{
		"two kinds of crop":        {Padding: 4, ResizedCrop: true},
		"grey of padding":          {Fill: 3},
		"crop_scale [0.5]":         {ResizedCrop: true, CropScale: []float64{0.5}},
		"crop_scale [0.5 0.2]":     {ResizedCrop: true, CropScale: []float64{0.5, 0.2}},
		"crop_ratio [0 2]":         {ResizedCrop: true, CropRatio: []float64{0, 2}},
		"which is off":             {CropScale: []float64{0.1, 1}},
		`autoaugment "svhn"`:       {AutoAugment: "svhn"},
		"two policies":             {AutoAugment: "cifar10", RandAugment: RandAugment{Ops: 2}},
		"randaugment.ops 9":        {RandAugment: RandAugment{Ops: 9}},
		"randaugment.magnitude 31": {RandAugment: RandAugment{Ops: 1, Magnitude: 31}},
		"color_jitter.hue 0.6":     {ColorJitter: ColorJitter{Hue: 0.6}},
		"color_jitter.contrast -":  {ColorJitter: ColorJitter{Contrast: -1}},
		"erasing 1.5":              {Erasing: 1.5},
		"mixup -1":                 {Mixup: -1},
		"cutmix NaN":               {Cutmix: math.NaN()},
	} {
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not have %q", err, want)
		}
	}
}
