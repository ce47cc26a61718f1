package draw

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Fonts, and the width of a letter relative to the font size. Operations use a monospaced font, so that
// their labels fit whichever font is installed.
const (
	sans  = "Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif"
	serif = "'Times New Roman',Times,'Liberation Serif','DejaVu Serif',serif"
	mono  = "Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"

	monoLetter, sansLetter = 0.605, 0.56
	labelSize              = 10.5
)

// Sheets, in pixels.
const (
	margin      = 28
	figureGap   = 56 // between the figures of a row
	rowSpace    = 40 // between rows
	headHeight  = 36 // height of a figure's title
	titleHeight = 34 // height of the sheet's title
	noteHeight  = 20
	sheetWidth  = 1500
)

// sheet is a drawing with a title and rows of figures.
type sheet struct {
	title, note string
	rows        [][]figure
}

// flow adds figures, in as many rows as necessary.
func (s *sheet) flow(figures []figure) {
	width := 0.0
	for i, f := range figures {
		if width += figureGap + f.outer(); i == 0 || width > sheetWidth {
			s.rows = append(s.rows, nil)
			width = f.outer()
		}
		row := &s.rows[len(s.rows)-1]
		*row = append(*row, f)
	}
}

// outer returns the width of a figure including its title.
func (f figure) outer() float64 {
	return max(f.width, headWidth(f.title, 15)+12+headWidth(f.note, 12))
}

func headWidth(s string, size float64) float64 {
	return float64(letters(s)) * size * sansLetter
}

// placed is a figure at its place on a sheet.
type placed struct {
	figure
	left, top float64
}

// place returns the figures at their places, and the size of the sheet.
func (s sheet) place() (list []placed, width, height float64) {
	y := float64(margin)
	if s.title != "" {
		y += titleHeight
	}
	if s.note != "" {
		y += noteHeight
	}
	width = max(headWidth(s.title, 22), headWidth(s.note, 12))
	for i, row := range s.rows {
		if i > 0 {
			y += rowSpace
		}
		x, height := float64(margin), 0.0
		for k, f := range row {
			if k > 0 {
				x += figureGap
			}
			list = append(list, placed{f, x, y})
			x += f.outer()
			height = max(height, f.height)
		}
		width = max(width, x-margin)
		y += headHeight + height
	}
	return list, width + 2*margin, y + margin
}

// write writes the sheet in one call of w.Write.
func (s sheet) write(w io.Writer) error {
	var b strings.Builder
	figures, width, height := s.place()
	name := s.title
	if name == "" && len(figures) > 0 {
		name = figures[0].title
	}
	begin(&b, name, width, height)
	s.writeHead(&b)
	for _, f := range figures {
		f.write(&b, f.left, f.top)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// begin writes the start of a document of that name, with its background.
func begin(b *strings.Builder, name string, width, height float64) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="%s" height="%s" viewBox="0 0 %s %s" font-family="%s" font-size="14" fill="#222">`+"\n", number(width), number(height), number(width), number(height), sans)
	fmt.Fprintf(b, "<title>%s</title>\n", escape(name))
	fmt.Fprintf(b, `<rect width="%s" height="%s" fill="white"/>`+"\n", number(width), number(height))
}

// writeHead writes the title and the note of a sheet.
func (s sheet) writeHead(b *strings.Builder) {
	if s.title != "" {
		fmt.Fprintf(b, `<text x="%d" y="%d" font-size="22" font-weight="bold">%s</text>`+"\n", margin, margin+16, escape(s.title))
	}
	if s.note != "" {
		fmt.Fprintf(b, `<text x="%d" y="%d" font-size="12" fill="#666">%s</text>`+"\n", margin, margin+37, escape(s.note))
	}
}

// Stroke styles; dashes are for edges and boxes without a path to the output.
const (
	deadStroke = ` stroke="#999" stroke-dasharray="4 3"`
	deadFill   = "#eeeeee"
	deadText   = "#888"
)

func (f figure) write(b *strings.Builder, x, y float64) {
	fmt.Fprintf(b, `<g transform="translate(%s %s)">`+"\n", number(x), number(y))
	fmt.Fprintf(b, `<text y="15" font-size="15" font-weight="bold">%s`, escape(f.title))
	if f.note != "" {
		fmt.Fprintf(b, `<tspan dx="12" font-size="12" font-weight="normal" fill="#666">%s</tspan>`, escape(f.note))
	}
	fmt.Fprintf(b, "</text>\n<g transform=\"translate(0 %d)\">\n", headHeight)
	b.WriteString(`<g fill="none" stroke="#555" stroke-width="1.25" stroke-linecap="round">` + "\n")
	for _, c := range f.curves {
		style := ""
		if c.dead {
			style = deadStroke
		}
		fmt.Fprintf(b, `<path data-from="%d" data-to="%d" d="%s"%s/>`+"\n", c.from, c.to, c.path(), style)
	}
	b.WriteString("</g>\n" + `<g fill="#555">` + "\n")
	for _, c := range f.curves {
		style := ""
		if c.dead {
			style = ` fill="#999"`
		}
		fmt.Fprintf(b, `<path d="M%s %sl-%d -3.4v6.8z"%s/>`+"\n", number(c.x), number(c.y), arrow, style)
	}
	b.WriteString("</g>\n" + `<g stroke="#444" stroke-width="1.1">` + "\n")
	for _, s := range f.boxes {
		s.writeBox(b)
	}
	b.WriteString("</g>\n")
	fmt.Fprintf(b, `<g text-anchor="middle" font-family="%s" font-size="%s">`+"\n", mono, number(labelSize))
	for _, s := range f.labels {
		s.writeLabel(b)
	}
	b.WriteString("</g>\n</g>\n</g>\n")
}

// path returns the curve as the data of an SVG path.
func (c curve) path() string {
	text, at := "M"+number(c.start.x)+" "+number(c.start.y), c.start
	for _, s := range c.segments {
		if s.bend {
			a, b := s.controls(at)
			text += "C" + number(a.x) + " " + number(a.y) + " " + number(b.x) + " " + number(b.y) + " " + number(s.to.x) + " " + number(s.to.y)
		} else {
			text += "H" + number(s.to.x)
		}
		at = s.to
	}
	return text
}

func (s shape) rect(b *strings.Builder, radius float64, fill, style string) {
	fmt.Fprintf(b, `<rect x="%s" y="%s" width="%s" height="%s" rx="%s" fill="%s"%s/>`, number(s.x-s.width/2), number(s.y-s.height/2), number(s.width), number(s.height), number(radius), fill, style)
}

func (s shape) writeBox(b *strings.Builder) {
	fill, style, colour, y := s.fill, "", "#111", s.y+5
	if s.dead {
		fill, style, colour, y = deadFill, deadStroke, deadText, s.y+1
	}
	s.rect(b, 6, fill, style)
	if s.sub != "" {
		fmt.Fprintf(b, `<text x="%s" y="%s" text-anchor="middle" stroke="none" fill="%s" font-family="%s" font-style="italic" font-size="17">%s<tspan dy="4" font-size="11">%s</tspan></text>`+"\n", number(s.x), number(s.y+4), colour, serif, escape(s.text), escape(s.sub))
		return
	}
	fmt.Fprintf(b, `<text x="%s" y="%s" text-anchor="middle" stroke="none" fill="%s" font-size="15">%s</text>`, number(s.x), number(y), colour, escape(s.text))
	if s.dead {
		fmt.Fprintf(b, `<text x="%s" y="%s" text-anchor="middle" stroke="none" fill="%s" font-size="10">dead</text>`, number(s.x), number(s.y+12), colour)
	}
	b.WriteString("\n")
}

func (s shape) writeLabel(b *strings.Builder) {
	style, colour := ` stroke="#bbb"`, "#222"
	if s.dead {
		style, colour = deadStroke, deadText
	}
	s.rect(b, s.height/2, "white", style)
	fmt.Fprintf(b, `<text x="%s" y="%s" fill="%s">%s</text>`+"\n", number(s.x), number(s.y+3.6), colour, escape(s.text))
}

// labelWidth returns the width of an operation's label, with margins.
func labelWidth(s string) float64 { return float64(letters(s))*labelSize*monoLetter + 16 }

// letters returns the width of s in Latin letters.
func letters(s string) int {
	n := utf8.RuneCountInString(s)
	for _, r := range s {
		if r >= 0x1100 {
			n++ // from about here on, scripts have letters of double width
		}
	}
	return n
}

// number formats a coordinate with one decimal.
func number(x float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(x, 'f', 1, 64), ".0")
}

// escape returns s as XML text. Characters that XML does not allow are replaced.
func escape(s string) string {
	var b strings.Builder
	if xml.EscapeText(&b, []byte(s)) != nil {
		return "" // cannot happen: a strings.Builder does not return errors
	}
	return b.String()
}
