package parity

import "strings"

// Bars are the largest differences allowed.
type Bars struct {
	Values float64 // of what is computed at one point: logits, losses, gradients
	Steps  float64 // of what several steps led to
	Chaos  bool    // gradients and what follows from them have no bar
}

// BarsFor are those of a precision; a tolerance above 0 takes the place of all. In float32 only
// logits and losses have one: the gradients of deep networks with random weights are
// ill-conditioned, and differ from themselves in float64 by percents.
func BarsFor(precision string, tolerance float64) Bars {
	switch {
	case tolerance > 0:
		return Bars{Values: tolerance, Steps: tolerance}
	case precision == "float32":
		return Bars{Values: 1e-3, Chaos: true}
	}
	return Bars{Values: 1e-8, Steps: 1e-7}
}

func (b Bars) of(group string) float64 {
	followed := strings.Contains(group, " after") || strings.Contains(group, " order") || strings.Contains(group, " steps")
	switch {
	case b.Chaos && (followed || strings.Contains(group, "gradients")):
		return 0
	case followed:
		return b.Steps
	}
	return b.Values
}

// groupOrder is that of the table: as things happen.
var groupOrder = []string{"eval logits", "train logits", "auxiliary logits", "loss", "weight gradients",
	"alpha gradients", "losses of the steps", "alphas after", "weights after", "statistics after"}

// byOrder sorts groups; those of the second order come after all of the first.
func byOrder(a, b string) int { return rank(a) - rank(b) }

func rank(group string) int {
	name, order, _ := strings.Cut(group, ", ")
	for i, known := range groupOrder {
		if known == name {
			if order == Second+" order" {
				return i + len(groupOrder)
			}
			return i
		}
	}
	return 2 * len(groupOrder)
}
