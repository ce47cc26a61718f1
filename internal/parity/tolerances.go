package parity

import "strings"

// Tolerances holds the largest differences allowed, relative to the largest value of a tensor.
type Tolerances struct {
	Values float64 // of logits, losses and gradients at the initial weights
	Steps  float64 // of results of several steps
	Chaos  bool    // gradients and results of several steps have no tolerance
}

// TolerancesFor returns the tolerances for a precision; a tolerance above 0 replaces all of them. In
// float32 only logits and losses have a tolerance: the gradients of deep networks with random weights
// are ill-conditioned, and even one program's float32 and float64 gradients differ by percents.
func TolerancesFor(precision string, tolerance float64) Tolerances {
	switch {
	case tolerance > 0:
		return Tolerances{Values: tolerance, Steps: tolerance}
	case precision == "float32":
		return Tolerances{Values: 1e-3, Chaos: true}
	}
	return Tolerances{Values: 1e-8, Steps: 1e-7}
}

func (t Tolerances) of(group string) float64 {
	followed := strings.Contains(group, " after") || strings.Contains(group, " order") || strings.Contains(group, " steps")
	switch {
	case t.Chaos && (followed || strings.Contains(group, "gradients")):
		return 0
	case followed:
		return t.Steps
	}
	return t.Values
}

// groupOrder is the order of the groups in the table.
var groupOrder = []string{"eval logits", "train logits", "auxiliary logits", "loss", "weight gradients",
	"alpha gradients", "losses of the steps", "alphas after", "weights after", "statistics after"}

// byOrder compares names of groups for sorting; groups of the second order come after all of the first.
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
