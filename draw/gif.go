package draw

import (
	"image"
	"image/gif"
	"io"
	"math"
)

// AnimatedGIF writes the frames as an animated GIF, which repeats. It returns the same errors as Cell.
func AnimatedGIF(w io.Writer, frames []Frame) error {
	f, err := newFilm(frames)
	if err != nil {
		return err
	}
	p := newPainter(f.width, f.height)
	var g gif.GIF
	var before *image.Paletted
	for i, s := range f.sheets {
		whole := p.sheet(s)
		g.Image = append(g.Image, cut(whole, changed(before, whole)))
		g.Delay = append(g.Delay, max(2, int(math.Round(100*frames[i].Seconds))))
		g.Disposal = append(g.Disposal, gif.DisposalNone)
		before = whole
	}
	g.Config = image.Config{ColorModel: before.Palette, Width: before.Rect.Dx(), Height: before.Rect.Dy()}
	return gif.EncodeAll(w, &g)
}

// cut returns a copy of a part of an image, so that the whole is not kept.
func cut(whole *image.Paletted, part image.Rectangle) *image.Paletted {
	c := image.NewPaletted(part, whole.Palette)
	for y := part.Min.Y; y < part.Max.Y; y++ {
		copy(c.Pix[c.PixOffset(part.Min.X, y):][:part.Dx()], whole.Pix[whole.PixOffset(part.Min.X, y):])
	}
	return c
}

// changed returns the smallest rectangle with all pixels that differ, at least one pixel; all if there was no image
// before.
func changed(before, now *image.Paletted) image.Rectangle {
	if before == nil {
		return now.Rect
	}
	r := image.Rectangle{}
	for y := range now.Rect.Dy() {
		a, b := before.Pix[y*now.Stride:(y+1)*now.Stride], now.Pix[y*now.Stride:(y+1)*now.Stride]
		if string(a) == string(b) {
			continue
		}
		first, last := 0, len(a)-1
		for a[first] == b[first] {
			first++
		}
		for a[last] == b[last] {
			last--
		}
		r = r.Union(image.Rect(first, y, last+1, y+1))
	}
	if r.Empty() {
		return image.Rect(0, 0, 1, 1)
	}
	return r
}
