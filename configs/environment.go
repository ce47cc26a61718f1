package configs

import (
	"os"
	"slices"
	"strings"

	"hdas/setting"
)

// Every environment variable of this program begins with prefix. It is that of a setting, is in
// reserved, or belongs to the tests and begins with testPrefix.
const (
	prefix     = "HDAS_"
	testPrefix = prefix + "TEST_"
)

// reserved are the environment variables, of the program and of its scripts, that are no settings.
var reserved = []string{
	"HDAS_DATA",       // the folder of the data sets (datasets.Dir)
	"HDAS_CACHE",      // the folder of what scripts/setup.py prepares
	"HDAS_MAX_PIXELS", // of an image (imagefile.LimitVariable)
}

// variable returns the environment variable of a key: search.lr is HDAS_SEARCH_LR.
func variable(key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// allKeys returns the keys of all configurations.
func allKeys() []string {
	search, train := DefaultSearch(CellSearch), DefaultTrain()
	var all []string
	for _, c := range []any{&search, &train} {
		keys, err := keysOf(c)
		if err != nil {
			panic(err) // the defaults are no YAML
		}
		all = append(all, keys...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// unknownVariables returns a fault for every variable that begins with prefix and has no meaning.
func unknownVariables() (f setting.Faults) {
	known := map[string]bool{}
	for _, key := range allKeys() {
		known[variable(key)] = true
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, testPrefix) {
			f.Check(known[name] || slices.Contains(reserved, name), name, nil, "no setting has this environment variable")
		}
	}
	return f
}
