package arch

import (
	"cmp"
	"flag"
	"fmt"
	"html"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/internal/layered"
)

var update = flag.Bool("update", false, "write docs/architecture.svg anew")

// docs/architecture.svg is what the imports and the comments of the packages give.
func TestDrawing(t *testing.T) {
	file := filepath.Join(root, "docs", "architecture.svg")
	packages := read(t)
	for pkg, p := range packages {
		if p.about == "" {
			t.Errorf("package %s has no comment that begins with its name", pkg)
		}
		if len(pkg) > nameLength {
			t.Errorf("%s does not fit a box of the drawing", pkg)
		}
	}
	want := drawing(packages)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the packages give; write it anew: CGO_ENABLED=0 go test ./internal/arch -update", file)
	}
}

// What a package imports is left out of the drawing only where another of its imports reaches it.
func TestDirect(t *testing.T) {
	packages := map[string]source{"a": {own: []string{"b", "c", "d"}}, "b": {own: []string{"c"}}, "c": {}, "d": {}}
	if got := direct(packages, "a"); !slices.Equal(got, []string{"b", "d"}) {
		t.Errorf("direct imports %v", got)
	}
}

// direct returns the imports of a package that none of its other imports reaches.
func direct(packages map[string]source, pkg string) []string {
	own := packages[pkg].own
	return slices.DeleteFunc(slices.Clone(own), func(i string) bool {
		return slices.ContainsFunc(own, func(other string) bool { return other != i && reached(packages, other)[i] })
	})
}

// ranks returns the row of each package that command imports, directly or through others: below all
// packages that import it. Where a row is too full, packages without imports go to the next one.
func ranks(packages map[string]source, command string) map[string]int {
	rank := map[string]int{}
	var visit func(pkg string, least int)
	visit = func(pkg string, least int) {
		if at, known := rank[pkg]; known && at >= least {
			return
		}
		rank[pkg] = least
		for _, own := range packages[pkg].own {
			visit(own, least+1)
		}
	}
	visit(command, 0)
	for row := 0; row <= slices.Max(slices.Collect(maps.Values(rank))); row++ {
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(rank)), func(pkg string) bool { return rank[pkg] != row })
		for n := len(names); n > mostBoxes; n-- {
			i := slices.IndexFunc(names, func(pkg string) bool { return len(packages[pkg].own) == 0 })
			if i < 0 {
				break
			}
			rank[names[i]]++
			names = slices.Delete(names, i, i+1)
		}
	}
	return rank
}

// Sizes in pixels.
const (
	mostBoxes  = 6 // of a row
	boxWidth   = 172
	lineHeight = 13
	rowGap     = 42
	portGap    = 13 // between two arrows at a box
	margin     = 24
	headHeight = 84
	lineLength = 25 // letters of a line
	nameLength = 23 // letters of a name
)

// The colours of the boxes.
const (
	pureColour     = "#dcefd8"
	libtorchColour = "#d6e4f5"
	internalColour = "#ececec"
)

func colour(packages map[string]source, pkg string) string {
	switch {
	case strings.HasPrefix(pkg, "internal/"):
		return internalColour
	case reached(packages, pkg)["torch"]:
		return libtorchColour
	}
	return pureColour
}

// drawing draws the packages that the command imports, each above those that it imports itself, and
// below them those that tests alone use.
func drawing(packages map[string]source) string {
	const command = "cmd/hdas"
	rank := ranks(packages, command)
	names := slices.SortedFunc(maps.Keys(rank), func(a, b string) int { return cmp.Or(rank[a]-rank[b], cmp.Compare(a, b)) })
	g := layered.Graph{Gap: 8, BoxGap: 14}
	for _, pkg := range names {
		g.Add(layered.Point{Layer: rank[pkg], Box: true, Size: boxWidth})
	}
	for from, pkg := range names {
		for _, own := range direct(packages, pkg) {
			g.Connect(from, slices.Index(names, own), func(int) layered.Point { return layered.Point{Size: 4} })
		}
	}
	g.Arrange()

	width := 0.0
	for i := range g.Points {
		g.Points[i].At += margin
		width = max(width, g.Points[i].At+g.Points[i].Size/2+margin)
	}
	top, bottom := make([]int, len(g.Layers)), make([]int, len(g.Layers))
	y := headHeight
	for i, l := range g.Layers {
		top[i] = y
		for _, id := range l {
			if id < len(names) {
				bottom[i] = max(bottom[i], y+height(packages[names[id]]))
			}
		}
		y = bottom[i] + rowGap
	}

	var body strings.Builder
	body.WriteString(`<g fill="none" stroke="#667" stroke-width="1.2">` + "\n")
	leave, arrive := ports(&g)
	for i, r := range g.Routes {
		first, last := r[0], r[len(r)-1]
		x, from := leave[i], bottom[g.Points[first].Layer]
		fmt.Fprintf(&body, `<path d="M%.0f %dV%d`, x, top[g.Points[first].Layer]+height(packages[names[first]]), from)
		for _, id := range r[1:] {
			p := g.Points[id]
			to, end := p.At, top[p.Layer]
			if id == last {
				to, end = arrive[i], end-6
			}
			middle := (from + end) / 2
			fmt.Fprintf(&body, `C%.0f %d %.0f %d %.0f %d`, x, middle, to, middle, to, end)
			if x, from = to, bottom[p.Layer]; id != last {
				fmt.Fprintf(&body, `V%d`, from)
			}
		}
		fmt.Fprintf(&body, `" marker-end="url(#head)"><title>%s imports %s</title></path>`+"\n", names[first], names[last])
	}
	body.WriteString("</g>\n")
	for id, pkg := range names {
		box(&body, g.Points[id].At-boxWidth/2, top[rank[pkg]], pkg, packages[pkg].about, colour(packages, pkg), height(packages[pkg]))
	}

	fmt.Fprintf(&body, `<text x="%d" y="%d" font-size="13" font-weight="bold">Used by tests alone</text>`+"\n", margin, y)
	y += 12
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(packages)), func(pkg string) bool { _, shown := rank[pkg]; return shown })
	columns := int(width-2*margin+16) / (boxWidth + 16)
	for row := range slices.Chunk(rest, columns) {
		tall := 0
		for i, pkg := range row {
			h := height(packages[pkg])
			box(&body, float64(margin+i*(boxWidth+16)), y, pkg, packages[pkg].about, colour(packages, pkg), h)
			tall = max(tall, h)
		}
		y += tall + 16
	}

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="%.0f" height="%d" viewBox="0 0 %.0f %d" font-family="Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif" fill="#222">`+"\n", width, y+8, width, y+8)
	b.WriteString("<title>The packages of hdas and their imports</title>\n")
	b.WriteString(`<defs><marker id="head" markerWidth="8" markerHeight="8" refX="1" refY="4" orient="auto" markerUnits="userSpaceOnUse"><path d="M0 0.5L7 4L0 7.5z" fill="#667"/></marker></defs>` + "\n")
	fmt.Fprintf(&b, `<rect width="%.0f" height="%d" fill="white"/>`+"\n", width, y+8)
	fmt.Fprintf(&b, `<text x="%d" y="34" font-size="18" font-weight="bold">The packages of hdas</text>`+"\n", margin)
	fmt.Fprintf(&b, `<text x="%d" y="54" font-size="12" fill="#555">An arrow leads from a package to one that it imports; imports that follow from others are left out. What a package works on is handed down along the arrows, and its results are returned.</text>`+"\n", margin)
	for i, entry := range [][2]string{{pureColour, "without libtorch"}, {libtorchColour, "with libtorch"}, {internalColour, "internal"}} {
		fmt.Fprintf(&b, `<rect x="%d" y="64" width="14" height="12" rx="2" fill="%s" stroke="#889"/><text x="%d" y="74" font-size="12" fill="#555">%s</text>`+"\n", margin+i*130, entry[0], margin+20+i*130, entry[1])
	}
	b.WriteString(body.String())
	b.WriteString("</svg>\n")
	return b.String()
}

// ports returns where each edge leaves its first box and arrives at its last one: side by side, in
// the order of the points that follow and that come before.
func ports(g *layered.Graph) (leave, arrive []float64) {
	spread := func(at, near func(r []int) int) []float64 {
		x := make([]float64, len(g.Routes))
		edges := map[int][]int{}
		for i, r := range g.Routes {
			edges[at(r)] = append(edges[at(r)], i)
		}
		for box, list := range edges {
			slices.SortStableFunc(list, func(a, b int) int {
				return cmp.Compare(g.Points[near(g.Routes[a])].At, g.Points[near(g.Routes[b])].At)
			})
			for k, i := range list {
				x[i] = g.Points[box].At + portGap*(float64(k)-float64(len(list)-1)/2)
			}
		}
		return x
	}
	first, second := func(r []int) int { return r[0] }, func(r []int) int { return r[1] }
	last, before := func(r []int) int { return r[len(r)-1] }, func(r []int) int { return r[len(r)-2] }
	return spread(first, second), spread(last, before)
}

// lines returns what a package is for, without its name and without details, in lines of a box.
func lines(about string) []string {
	about, _, _ = strings.Cut(about, ": ")
	about, _, _ = strings.Cut(about, "; ")
	words := strings.Fields(strings.TrimSuffix(about, "."))
	var out []string
	for i, w := range words[min(2, len(words)):] {
		if last := len(out) - 1; i > 0 && len(out[last])+1+len(w) <= lineLength {
			out[last] += " " + w
		} else {
			out = append(out, w)
		}
	}
	return out
}

func height(p source) int { return 27 + lineHeight*len(lines(p.about)) }

func box(b *strings.Builder, x float64, y int, name, about, fill string, height int) {
	fmt.Fprintf(b, `<rect x="%.0f" y="%d" width="%d" height="%d" rx="5" fill="%s" stroke="#889"/>`, x, y, boxWidth, height, fill)
	fmt.Fprintf(b, `<text x="%.0f" y="%d" font-size="12" font-weight="bold">%s</text>`, x+8, y+17, html.EscapeString(name))
	for i, line := range lines(about) {
		fmt.Fprintf(b, `<text x="%.0f" y="%d" font-size="11">%s</text>`, x+8, y+32+i*lineHeight, html.EscapeString(line))
	}
	b.WriteString("\n")
}
