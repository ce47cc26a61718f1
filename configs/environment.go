package configs

import (
	"os"
	"slices"
	"strings"

	"hdas/setting"
)

// Every environment variable of this program begins with prefix. It sets a key of the configuration, is
// listed in reserved, or is for tests and begins with testPrefix.
const (
	prefix     = "HDAS_"
	testPrefix = prefix + "TEST_"
)

// reserved lists the environment variables of the program and its scripts that are not settings.
var reserved = []string{
	"HDAS_DATA",       // the folder of the data sets (datasets.Dir)
	"HDAS_CACHE",      // the folder in which scripts/setup.py prepares libtorch and other dependencies
	"HDAS_MAX_PIXELS", // the largest number of pixels of an image (imagefile.LimitVariable)
}

// variable returns the environment variable for a key: HDAS_SEARCH_LR for search.lr.
func variable(key string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// Keys returns the keys of all configurations, sorted.
func Keys() []string {
	search, train := DefaultSearch(CellSearch), DefaultTrain()
	var all []string
	for _, c := range []any{&search, &train} {
		keys, err := keysOf(c)
		if err != nil {
			panic(err) // the defaults always encode to YAML
		}
		all = append(all, keys...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// lookup returns the value of the environment variable for a key.
func lookup(key string) (string, bool) { return os.LookupEnv(variable(key)) }

// unknownVariables returns a fault for every environment variable that begins with prefix, in any letter case,
// and is not known.
func unknownVariables() (f setting.Faults) {
	known := slices.Clone(reserved)
	for _, key := range Keys() {
		known = append(known, variable(key))
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(strings.ToUpper(name), prefix) || strings.HasPrefix(name, testPrefix) {
			continue
		}
		f.Check(slices.Contains(known, name), name, nil, "no setting has this environment variable%s", setting.Meant(name, known))
	}
	return f
}
