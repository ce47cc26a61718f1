package draw

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"hdas/models/genotype"
)

// Frame is a genotype of an animation.
type Frame struct {
	Genotype genotype.Genotype
	Note     string  // below its name
	Seconds  float64 // for which it is shown
}

// film is an animation that is laid out: its sheets have the same upper left corner.
type film struct {
	sheets        []sheet
	width, height float64
	seconds       float64 // of all frames
}

func newFilm(frames []Frame) (f film, err error) {
	if len(frames) == 0 {
		return f, errors.New("an animation without a frame")
	}
	var d Drawer
	for _, x := range frames {
		s, err := d.sheet(x.Genotype)
		if err != nil {
			return f, err
		}
		s.note = x.Note
		_, width, height := s.place()
		f.sheets, f.width, f.height, f.seconds = append(f.sheets, s), max(f.width, width), max(f.height, height), f.seconds+x.Seconds
	}
	return f, nil
}

// Animation writes an SVG document that shows the frames one after the other, again and again, without a script. Where
// SVG is not animated, it shows the last one. It returns the same errors as Cell.
func Animation(w io.Writer, frames []Frame) error {
	f, err := newFilm(frames)
	if err != nil {
		return err
	}
	var b, body strings.Builder
	begin(&b, frames[0].Genotype.Name, f.width, f.height)
	b.WriteString("<defs>\n")
	ids := map[string]string{} // of figures, each of which is written once
	from := 0.0
	for i, s := range f.sheets {
		to := from + frames[i].Seconds/f.seconds
		f.writeFrame(&body, from, to, i == len(f.sheets)-1)
		s.writeHead(&body)
		figures, _, _ := s.place()
		for _, x := range figures {
			if ids[x.key] == "" {
				ids[x.key] = fmt.Sprintf("f%d", len(ids))
				fmt.Fprintf(&b, `<g id="%s">`, ids[x.key])
				x.write(&b, 0, 0)
				b.WriteString("</g>\n")
			}
			fmt.Fprintf(&body, `<use href="#%s" x="%s" y="%s"/>`, ids[x.key], number(x.left), number(x.top))
		}
		body.WriteString("</g>\n")
		from = to
	}
	b.WriteString("</defs>\n" + body.String() + "</svg>\n")
	_, err = io.WriteString(w, b.String())
	return err
}

// writeFrame writes the start of a group that is shown during that part of the animation, as shares of its time.
func (f film) writeFrame(b *strings.Builder, from, to float64, last bool) {
	if len(f.sheets) == 1 {
		b.WriteString("<g>")
		return
	}
	share := func(v float64) string { return strconv.FormatFloat(v, 'f', 6, 64) }
	values, times, display := "none;inline;none", "0;"+share(from)+";"+share(to), "none"
	switch {
	case last:
		values, times, display = "none;inline", "0;"+share(from), "inline"
	case from == 0:
		values, times = "inline;none", "0;"+share(to)
	}
	fmt.Fprintf(b, `<g display="%s"><animate attributeName="display" values="%s" keyTimes="%s" dur="%ss" calcMode="discrete" repeatCount="indefinite"/>`+"\n",
		display, values, times, strconv.FormatFloat(f.seconds, 'f', 3, 64))
}
