package golden_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"hdas/internal/golden"
	"hdas/internal/torchtest"
	"hdas/torch"
)

func TestMain(m *testing.M) { torchtest.Main(m) }

// recorder is a test that writes down how it failed.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// Check accepts values within the tolerance and reports others.
func TestCheck(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	row := func(v ...float64) torch.Tensor { return torchtest.Float64s(v, int64(len(v))) }
	torchtest.Do(t, func(*torch.Scope) {
		for name, c := range map[string]struct {
			got, want torch.Tensor
			fault     string // empty: it passes
		}{
			"equal":                          {row(1, -200, 0), row(1, -200, 0), ""},
			"within the tolerance":           {row(1.9, -200, -0.9), row(1, -200, 0), ""},
			"beyond the tolerance":           {row(3.1, -200, 0), row(1, -200, 0), "differs by 0.0105"},
			"below the largest of got alone": {row(1, 400), row(1, -2), "differs by"},
			"zeros":                          {row(0, 0), row(0, 0), ""},
			"not zero":                       {row(0, 1e-300), row(0, 0), "differs by"},
			"float32 beside float64":         {row(1, 2).To(torch.Float32), row(1, 2), ""},
			"empty":                          {row(), row(), ""},

			"undefined": {torch.Tensor{}, row(1), "undefined"},
			"longer":    {row(1, 2), row(1), "shape [2], not [1]"},
			"flat":      {row(1, 2, 3, 4), row(1, 2, 3, 4).Reshape(2, 2), "shape [4], not [2 2]"},
			"turned":    {row(1, 1).Reshape(1, 2), row(1, 1).Reshape(2, 1), "shape [1 2], not [2 1]"},
			"scalar":    {row(1), row(1).Reshape(), "shape [1], not []"},

			"NaN in both":                         {row(nan, 2), row(nan, 2), ""},
			"NaN in got":                          {row(1, nan), row(1, 2), "NaN at element 1, not 2"},
			"NaN in want":                         {row(1, 2), row(1, nan), "2 at element 1, not NaN"},
			"NaN in both, the rest is off":        {row(nan, 200), row(nan, 2), "differs by 99"},
			"infinity in both":                    {row(inf, -inf, 2), row(inf, -inf, 2), ""},
			"infinity in got":                     {row(inf, 2), row(1, 2), "+Inf at element 0, not 1"},
			"infinity in want":                    {row(1, 2), row(-inf, 2), "1 at element 0, not -Inf"},
			"the other infinity":                  {row(inf, 2), row(-inf, 2), "+Inf at element 0, not -Inf"},
			"infinity beside NaN":                 {row(inf, 2), row(nan, 2), "+Inf at element 0, not NaN"},
			"infinity in both, the rest off":      {row(inf, 200), row(inf, 2), "differs by 99"},
			"infinity in both, within 1 in a 100": {row(inf, 2.01), row(inf, 2), ""},
		} {
			r := &recorder{TB: t}
			golden.Check(r, "it", c.got, c.want, 0.01)
			if text := strings.Join(r.errors, "; "); (text == "") != (c.fault == "") || !strings.Contains(text, c.fault) {
				t.Errorf("%s: %q, not %q", name, text, c.fault)
			}
		}
	})
}
