package report

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// figure is a plot with its title and its legend.
type figure struct {
	Title  string
	Legend []entry
	SVG    template.HTML
	Note   string
}

// entry is a line of a legend.
type entry struct {
	Name   string
	Colour int // of the page's palette
}

// colours is the number of colours of the page's palette.
const colours = 10

// The colours of a plot stand for those of the page, so that a plot is readable on light and on dark. svg replaces them.
var (
	ink  = color.RGBA{1, 2, 0, 255}
	grid = color.RGBA{1, 2, 1, 255}
)

func ofPalette(i int) color.Color { return color.RGBA{1, 3, uint8(i % colours), 255} }

// Sizes of plots in points, and how many points of a curve and of an area they show.
const (
	width, height           = 460, 240
	smallWidth, smallHeight = 150, 66
	mostPoints, mostSteps   = 400, 100
)

// lines returns a plot of several series over the epochs. If log is true and the values span more than two powers of
// ten, their axis is logarithmic.
func lines(title string, list []series, scale float64, log bool) (figure, error) {
	f := figure{Title: title}
	p := newPlot()
	p.X.Label.Text, p.X.Tick.Marker = "epoch", ticks{whole: true}
	p.Add(lightGrid())
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range list {
		low, high = min(low, slices.Min(s.values)), max(high, slices.Max(s.values))
	}
	if !slices.ContainsFunc(list, func(s series) bool {
		return slices.ContainsFunc(s.values, func(v float64) bool { return v != math.Trunc(v) })
	}) {
		p.Y.Tick.Marker = ticks{whole: true} // of counts
	}
	if log = log && low > 0 && high > 100*low; log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
		f.Note = "logarithmic axis"
	}
	for _, s := range list {
		f.Legend = append(f.Legend, entry{s.name, s.colour % colours})
		s = thin(s, mostPoints)
		xy := make(plotter.XYs, len(s.values))
		for k, v := range s.values {
			xy[k] = plotter.XY{X: s.epochs[k], Y: scale * v}
		}
		line, points, err := plotter.NewLinePoints(xy)
		if err != nil {
			return f, fmt.Errorf("plot %q: %w", title, err)
		}
		line.Color, line.Width = ofPalette(s.colour), 1.4
		if s.colour >= colours {
			line.Dashes = []vg.Length{5, 2}
		}
		points.Color, points.Shape, points.Radius = ofPalette(s.colour), draw.CircleGlyph{}, 1.8
		if len(xy) == 1 {
			points.Radius = 4
		}
		if p.Add(line); len(xy) <= 12 {
			p.Add(points)
		}
	}
	bounds(p)
	f.SVG = svg(p, width, height)
	return f, nil
}

// areas returns a small plot without axes: the shares of several things, stacked, over the epochs. shares has a row
// for each epoch, whose numbers add up to 1, and a column for each colour.
func areas(epochs []float64, shares [][]float64, of []entry) (template.HTML, error) {
	p := newPlot()
	p.HideAxes()
	kept := every(len(epochs), mostSteps)
	for k := len(shares[0]) - 1; k >= 0; k-- { // from the top, so that each area covers those below it
		var edge plotter.XYs
		for _, i := range kept {
			sum := 0.0
			for _, v := range shares[i][:k+1] {
				sum += v
			}
			edge = append(edge, plotter.XY{X: epochs[i], Y: sum})
		}
		if len(edge) == 1 {
			edge = append(edge, plotter.XY{X: edge[0].X + 1, Y: edge[0].Y})
		}
		edge = append(edge, plotter.XY{X: edge[len(edge)-1].X}, plotter.XY{X: edge[0].X})
		area, err := plotter.NewPolygon(edge)
		if err != nil {
			return "", err
		}
		area.Color, area.LineStyle.Width = ofPalette(of[k].Colour), 0
		p.Add(area)
	}
	p.X.Padding, p.Y.Padding, p.Y.Min, p.Y.Max = 0, 0, 0, 1
	return svg(p, smallWidth, smallHeight), nil
}

// dots returns a plot of values in columns, with the mean of each column as a line.
func dots(title string, names []string, columns [][]float64) (figure, error) {
	p := newPlot()
	p.Add(lightGrid())
	for i, values := range columns {
		var xy plotter.XYs
		mean := 0.0
		for k, v := range values {
			xy = append(xy, plotter.XY{X: float64(i) + 0.3*(float64(k)-float64(len(values)-1)/2)/float64(len(values)), Y: v})
			mean += v / float64(len(values))
		}
		points, err := plotter.NewScatter(xy)
		if err != nil {
			return figure{}, err
		}
		points.Color, points.Shape, points.Radius = ofPalette(i), draw.CircleGlyph{}, 3
		line, err := plotter.NewLine(plotter.XYs{{X: float64(i) - 0.3, Y: mean}, {X: float64(i) + 0.3, Y: mean}})
		if err != nil {
			return figure{}, err
		}
		line.Color, line.Width = ofPalette(i), 1.4
		p.Add(line, points)
	}
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.6, float64(len(names))-0.4
	bounds(p)
	room := 0.08 * (p.Y.Max - p.Y.Min) // so that no dot is on the edge
	p.Y.Min, p.Y.Max = p.Y.Min-room, p.Y.Max+room
	return figure{Title: title, SVG: svg(p, width, height), Note: "each run; line: mean"}, nil
}

// ticks are those of the library, with the decimals that their values have. If whole is true, only whole numbers have a
// label.
type ticks struct{ whole bool }

func (t ticks) Ticks(low, high float64) []plot.Tick {
	list := plot.DefaultTicks{}.Ticks(low, high)
	decimals, large := 0, max(math.Abs(low), math.Abs(high))
	for _, x := range list {
		for v := x.Value; x.Label != "" && decimals < 9 && math.Abs(v*math.Pow10(decimals)-math.Round(v*math.Pow10(decimals))) > 1e-6*large; {
			decimals++
		}
	}
	for i, x := range list {
		switch {
		case x.Label == "":
		case t.whole && math.Abs(x.Value-math.Round(x.Value)) > 1e-6:
			list[i].Label = ""
		case t.whole || decimals < 7 && large < 1e6:
			list[i].Label = strconv.FormatFloat(x.Value, 'f', map[bool]int{false: decimals}[t.whole], 64)
		default:
			list[i].Label = strconv.FormatFloat(x.Value, 'g', 4, 64)
		}
	}
	return list
}

// newPlot returns an empty plot in the colours of the page.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.LineStyle.Color, a.Tick.LineStyle.Color, a.Label.TextStyle.Color, a.Tick.Label.Color = grid, grid, ink, ink
		a.Tick.Label.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 12}
		a.Label.TextStyle.Font, a.Tick.Marker = a.Tick.Label.Font, ticks{}
	}
	return p
}

func lightGrid() *plotter.Grid {
	g := plotter.NewGrid()
	g.Vertical.Width, g.Horizontal.Width, g.Horizontal.Color = 0, 0.5, grid
	return g
}

// bounds gives an axis on which all values are the same some room.
func bounds(p *plot.Plot) {
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		if a.Min == a.Max {
			switch room := math.Abs(a.Min) / 10; {
			case a == &p.X:
				a.Min, a.Max = a.Min-0.5, a.Max+0.5
			case room == 0:
				a.Max = 1
			default:
				a.Min, a.Max = a.Min-room, a.Max+room
			}
		}
	}
}

var (
	opening  = regexp.MustCompile(`(?s)^.*?<svg[^>]*>`)
	fonts    = regexp.MustCompile(`font-family:[^;"]*;font-variant:none;font-weight:normal;font-style:normal;`)
	tags     = regexp.MustCompile(`<[^>]*>`)
	decimals = regexp.MustCompile(`(\.\d)\d+`)
	stands   = regexp.MustCompile(`#01(02|03)(0\d)`)
)

// svg returns a plot for the page: with the font and the colours of the page, and coordinates of one decimal.
func svg(p *plot.Plot, width, height vg.Length) template.HTML {
	c := vgsvg.New(width, height)
	p.Draw(draw.New(c))
	var b bytes.Buffer
	c.WriteTo(&b) // errors are those of the buffer, which has none
	text := opening.ReplaceAllString(b.String(), fmt.Sprintf(`<svg viewBox="0 0 %.0f %.0f" role="img">`, width.Points(), height.Points()))
	text = tags.ReplaceAllStringFunc(fonts.ReplaceAllString(text, ""), func(tag string) string { return decimals.ReplaceAllString(tag, "$1") })
	text = stands.ReplaceAllStringFunc(text, func(s string) string {
		switch {
		case s == "#010200":
			return "var(--ink)"
		case s == "#010201":
			return "var(--grid)"
		}
		return "var(--c" + s[6:] + ")"
	})
	return template.HTML(strings.ReplaceAll(text, "\n\t", " "))
}

// thin returns a series of at most about n points: of each part the smallest and the largest, so that peaks stay.
func thin(s series, n int) series {
	if len(s.values) <= n {
		return s
	}
	out := series{name: s.name, colour: s.colour}
	add := func(i int) { out.epochs, out.values = append(out.epochs, s.epochs[i]), append(out.values, s.values[i]) }
	parts := n / 2
	for k := range parts {
		from, to := k*len(s.values)/parts, (k+1)*len(s.values)/parts
		low, high := from, from
		for i := from; i < to; i++ {
			if s.values[i] < s.values[low] {
				low = i
			}
			if s.values[i] > s.values[high] {
				high = i
			}
		}
		if add(min(low, high)); low != high {
			add(max(low, high))
		}
	}
	if last := len(s.values) - 1; out.epochs[len(out.epochs)-1] != s.epochs[last] {
		add(last)
	}
	return out
}

// every returns at most n of the first m whole numbers, evenly spread, with the first and the last.
func every(m, n int) (list []int) {
	if m <= n {
		n = m
	}
	for i := range n {
		list = append(list, i*(m-1)/max(1, n-1))
	}
	return list
}
