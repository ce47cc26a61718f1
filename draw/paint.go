package draw

import (
	"image"
	"image/color"
	imagedraw "image/draw"
	"math"
	"strconv"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
)

// painter paints sheets in pixels, as svg.go writes them.
type painter struct {
	*vgimg.Canvas
	width, height float64
	fonts         *font.Cache
	nearest       map[[4]uint8]uint8 // indices of the palette, of the colours so far
	left, top     float64            // of the figure that is painted
}

func newPainter(width, height float64) *painter {
	return &painter{width: math.Ceil(width), height: math.Ceil(height), fonts: font.NewCache(liberation.Collection()), nearest: map[[4]uint8]uint8{}}
}

// The typefaces of texts.
var (
	sansFace   = font.Font{Typeface: "Liberation", Variant: "Sans"}
	boldFace   = font.Font{Typeface: "Liberation", Variant: "Sans", Weight: xfont.WeightBold}
	monoFace   = font.Font{Typeface: "Liberation", Variant: "Mono"}
	italicFace = font.Font{Typeface: "Liberation", Variant: "Serif", Style: xfont.StyleItalic}
)

// sheet paints a sheet on a white image.
func (p *painter) sheet(s sheet) *image.Paletted {
	p.Canvas = vgimg.NewWith(vgimg.UseWH(vg.Length(p.width), vg.Length(p.height)), vgimg.UseDPI(72), vgimg.UseBackgroundColor(color.White))
	p.left, p.top = 0, 0
	p.text(boldFace, 22, margin, margin+16, "#222", s.title)
	p.text(sansFace, 12, margin, margin+37, "#666", s.note)
	figures, _, _ := s.place()
	for _, f := range figures {
		p.left, p.top = f.left, f.top
		p.figure(f.figure)
	}
	return p.paletted()
}

func (p *painter) figure(f figure) {
	next := p.text(boldFace, 15, 0, 15, "#222", f.title)
	p.text(sansFace, 12, next+12, 15, "#666", f.note)
	p.top += headHeight
	for _, c := range f.curves {
		line := vg.Path{}
		line.Move(p.at(c.start))
		at := c.start
		for _, s := range c.segments {
			if s.bend {
				a, b := s.controls(at)
				line.CubeTo(p.at(a), p.at(b), p.at(s.to))
			} else {
				line.Line(p.at(s.to))
			}
			at = s.to
		}
		colour := "#555"
		if c.dead {
			colour = "#999"
		}
		p.stroke(line, 1.25, colour, c.dead)
		head := vg.Path{}
		head.Move(p.at(point{c.x, c.y}))
		head.Line(p.at(point{c.x - arrow, c.y - 3.4}))
		head.Line(p.at(point{c.x - arrow, c.y + 3.4}))
		head.Close()
		p.fill(head, colour)
	}
	for _, s := range f.boxes {
		fill, stroke, colour, y := s.fill, "#444", "#111", s.y+5
		if s.dead {
			fill, stroke, colour, y = deadFill, "#999", deadText, s.y+1
		}
		p.box(s, 6, fill, stroke)
		if s.sub != "" {
			wide := p.wide(italicFace, 17, s.text)
			x := s.x - (wide+p.wide(italicFace, 11, s.sub))/2
			p.text(italicFace, 17, x, s.y+4, colour, s.text)
			p.text(italicFace, 11, x+wide, s.y+8, colour, s.sub)
			continue
		}
		p.centred(sansFace, 15, s.x, y, colour, s.text)
		if s.dead {
			p.centred(sansFace, 10, s.x, y+11, colour, "dead")
		}
	}
	for _, s := range f.labels {
		stroke, colour := "#bbb", "#222"
		if s.dead {
			stroke, colour = "#999", deadText
		}
		p.box(s, s.height/2, "white", stroke)
		p.centred(monoFace, labelSize, s.x, s.y+3.6, colour, s.text)
	}
}

// at returns a point of the figure on the canvas, whose y goes up.
func (p *painter) at(q point) vg.Point {
	return vg.Point{X: vg.Length(p.left + q.x), Y: vg.Length(p.height - p.top - q.y)}
}

func (p *painter) fill(path vg.Path, colour string) {
	p.SetColor(rgb(colour))
	p.Fill(path)
}

func (p *painter) stroke(path vg.Path, width vg.Length, colour string, dashed bool) {
	p.SetColor(rgb(colour))
	p.SetLineWidth(width)
	p.SetLineDash(nil, 0)
	if dashed {
		p.SetLineDash([]vg.Length{4, 3}, 0)
	}
	p.Stroke(path)
}

// box paints the rectangle of a shape, with round corners.
func (p *painter) box(s shape, radius float64, fill, stroke string) {
	const round = 0.5523 // of a quarter of a circle as a Bezier curve
	left, right, top, bottom := s.x-s.width/2, s.x+s.width/2, s.y-s.height/2, s.y+s.height/2
	var path vg.Path
	path.Move(p.at(point{left + radius, top}))
	for _, c := range [][3]point{ // the corner, where its curve begins, and where it ends
		{{right, top}, {right - radius, top}, {right, top + radius}},
		{{right, bottom}, {right, bottom - radius}, {right - radius, bottom}},
		{{left, bottom}, {left + radius, bottom}, {left, bottom - radius}},
		{{left, top}, {left, top + radius}, {left + radius, top}},
	} {
		toward := func(q point) point { return point{q.x + round*(c[0].x-q.x), q.y + round*(c[0].y-q.y)} }
		path.Line(p.at(c[1]))
		path.CubeTo(p.at(toward(c[1])), p.at(toward(c[2])), p.at(c[2]))
	}
	path.Close()
	p.fill(path, fill)
	p.stroke(path, 1.1, stroke, s.dead)
}

// text paints a text that begins at x, with its base line at y, and returns where it ends.
func (p *painter) text(face font.Font, size, x, y float64, colour, text string) float64 {
	p.SetColor(rgb(colour))
	p.FillString(p.fonts.Lookup(face, vg.Length(size)), p.at(point{x, y}), text)
	return x + p.wide(face, size, text)
}

func (p *painter) centred(face font.Font, size, x, y float64, colour, text string) {
	p.text(face, size, x-p.wide(face, size, text)/2, y, colour, text)
}

func (p *painter) wide(face font.Font, size float64, text string) float64 {
	f := p.fonts.Lookup(face, vg.Length(size))
	return f.Width(text).Points()
}

// paletted returns what was painted in the colours of the palette.
func (p *painter) paletted() *image.Paletted {
	from := p.Image()
	to := image.NewPaletted(from.Bounds(), palette256)
	rgba := image.NewRGBA(from.Bounds())
	imagedraw.Draw(rgba, rgba.Rect, from, image.Point{}, imagedraw.Src)
	before, index := [4]uint8{255, 255, 255, 255}, uint8(palette256.Index(color.White))
	for i := range to.Pix {
		if c := [4]uint8(rgba.Pix[4*i:]); c != before { // neighbours are mostly alike
			known := false
			if index, known = p.nearest[c]; !known {
				index = uint8(palette256.Index(color.RGBA{c[0], c[1], c[2], c[3]}))
				p.nearest[c] = index
			}
			before = c
		}
		to.Pix[i] = index
	}
	return to
}

// palette256 has shades of the colours of drawings: from white over each colour to black.
var palette256 = func() (list color.Palette) {
	for _, base := range []string{"#777", deadFill, cellColours.input, cellColours.node, cellColours.output, stageColours.input, stageColours.node, stageColours.output} {
		c := rgb(base)
		for i := range 32 {
			shade := func(v uint8) uint8 {
				if i < 16 {
					return uint8(255 - (255-int(v))*i/16)
				}
				return uint8(int(v) * (31 - i) / 15)
			}
			list = append(list, color.RGBA{shade(c.R), shade(c.G), shade(c.B), 255})
		}
	}
	return list
}()

// rgb returns the colour of a name as SVG has it: white, #rgb or #rrggbb.
func rgb(name string) color.RGBA {
	digits := strings.TrimPrefix(strings.Replace(name, "white", "#fff", 1), "#")
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	v, _ := strconv.ParseUint(digits, 16, 32) // the names are those of this package
	return color.RGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 255}
}
