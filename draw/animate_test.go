package draw_test

import (
	"bytes"
	"encoding/xml"
	"image"
	stddraw "image/draw"
	"image/gif"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hdas/draw"
	"hdas/models/genotype"
)

// film is an animation of three genotypes, of which the second has another stage than the first.
func film(t *testing.T) (frames []draw.Frame) {
	t.Helper()
	for i, name := range []string{"Hs_DAS_CIFAR_stages", "Hs_DAS_CIFAR_stages", "Hs_DAS_ImageNet_stages"} {
		g, err := genotype.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			g.Stages = slices.Clone(g.Stages)
			g.Stages[0].Nodes = slices.Clone(g.Stages[0].Nodes)
			g.Stages[0].Nodes[2].In = []genotype.Edge{{From: 0, Op: "<other>"}}
		}
		frames = append(frames, draw.Frame{Genotype: g, Note: "frame " + strconv.Itoa(i) + " & more", Seconds: float64(i + 1)})
	}
	return frames
}

// At every moment exactly one frame of an animated SVG is shown, for its share of the time, and a figure that frames have
// in common is written once.
func TestAnimation(t *testing.T) {
	var b bytes.Buffer
	if err := draw.Animation(&b, film(t)); err != nil {
		t.Fatal(err)
	}
	type shown struct{ from, to float64 }
	var spans []shown
	figures, uses, static := 0, 0, 0
	for d := xml.NewDecoder(&b); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		at := map[string]string{}
		for _, a := range e.Attr {
			at[a.Name.Local] = a.Value
		}
		switch {
		case e.Name.Local == "animate":
			s := shown{to: 1}
			times := strings.Split(at["keyTimes"], ";")
			for i, v := range strings.Split(at["values"], ";") {
				time, err := strconv.ParseFloat(times[i], 64)
				if err != nil {
					t.Fatal(err)
				}
				if v == "inline" {
					s.from = time
				} else if i > 0 {
					s.to = time
				}
			}
			spans = append(spans, s)
			if at["dur"] != "6.000s" || at["calcMode"] != "discrete" || at["repeatCount"] != "indefinite" {
				t.Errorf("%v", at)
			}
		case e.Name.Local == "use":
			uses++
		case e.Name.Local == "g" && at["id"] != "":
			figures++
		case at["display"] == "inline":
			static++
		}
	}
	if want := []shown{{0, 0.166667}, {0.166667, 0.5}, {0.5, 1}}; !slices.Equal(spans, want) {
		t.Errorf("frames are shown in %v, not %v", spans, want)
	}
	if figures != 7 || uses != 9 || static != 1 {
		t.Errorf("%d figures, used %d times, %d of the frames without animation", figures, uses, static)
	}
}

// The frames of a GIF, each over those before, are the same images as each genotype alone.
func TestAnimatedGIF(t *testing.T) {
	frames := film(t)
	decoded := func(frames []draw.Frame) *gif.GIF {
		t.Helper()
		var b bytes.Buffer
		if err := draw.AnimatedGIF(&b, frames); err != nil {
			t.Fatal(err)
		}
		g, err := gif.DecodeAll(&b)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := decoded(frames)
	if len(g.Image) != 3 || !slices.Equal(g.Delay, []int{100, 200, 300}) || g.LoopCount != 0 {
		t.Fatalf("%d frames, %v, %d loops", len(g.Image), g.Delay, g.LoopCount)
	}
	all := image.NewRGBA(g.Image[0].Rect)
	for i, frame := range g.Image {
		stddraw.Draw(all, frame.Rect, frame, frame.Rect.Min, stddraw.Over)
		alone := decoded(frames[i : i+1]).Image[0]
		dark := 0
		for y := range all.Rect.Dy() {
			for x := range all.Rect.Dx() {
				want := image.Image(image.White).At(x, y)
				if image.Pt(x, y).In(alone.Rect) {
					want = alone.At(x, y)
				}
				r, g, b, _ := all.At(x, y).RGBA()
				wr, wg, wb, _ := want.RGBA()
				if r != wr || g != wg || b != wb {
					t.Fatalf("frame %d differs at %d,%d", i, x, y)
				}
				if r+g+b < 3*0x8000 {
					dark++
				}
			}
		}
		if dark < 2000 {
			t.Errorf("frame %d has %d dark pixels", i, dark)
		}
	}
	if draw.Animation(io.Discard, nil) == nil || draw.AnimatedGIF(io.Discard, nil) == nil {
		t.Error("an animation of nothing")
	}
	frames[1].Genotype.Stages[0].Out = []int{99}
	if draw.Animation(io.Discard, frames) == nil || draw.AnimatedGIF(io.Discard, frames) == nil {
		t.Error("a state that is not there is drawn")
	}
}
