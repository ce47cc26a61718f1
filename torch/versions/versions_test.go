package versions

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSupported(t *testing.T) {
	if len(Supported) < 3 || Supported[0].Number != "2.1.2" {
		t.Fatalf("%+v", Supported)
	}
	for _, v := range Supported {
		if found, ok := Of(v.Number + "+cu130"); !ok || found != v {
			t.Errorf("%s: %+v", v.Number, found)
		}
		if _, err := time.Parse(time.DateOnly, v.Passed); err != nil || !slices.Contains([]int{17, 20}, v.Standard) || v.Oldest == "" || v.Newest == "" || v.NewestPython == "" {
			t.Errorf("%+v, %v", v, err)
		}
		if !strings.Contains(Names(), v.Number) {
			t.Errorf("%s is not among %s", v.Number, Names())
		}
	}
	for _, other := range []string{"", "2", "2.0.1", "2.110.0", "3.1.2", "of an unknown version"} {
		if v, ok := Of(other); ok {
			t.Errorf("%q is %+v", other, v)
		}
	}
}
