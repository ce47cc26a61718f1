package text

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"hdas/models/genotype"
)

// unnamed is a genotype in the notation of DARTS, without a name.
var unnamed = strings.TrimPrefix(pdarts[0], "PDARTS = ")

// A line of a log is read as the genotype in it, whatever the logger writes before it.
func TestLogLines(t *testing.T) {
	for before, name := range map[string]string{
		"2024-02-30 09:07:05,123 genotype = ":           "unnamed",
		"03/22 05:13:02 PM genotype = ":                 "unnamed",
		"\n  03/22 05:13:02 PM epoch 49 genotype = gt.": "unnamed",
		"INFO:root:genotype = ":                         "unnamed",
		"[2024-02-30 09:07:05][INFO] best = ":           "best",
		"genotype = ":                                   "unnamed",
		"Genotype: ":                                    "unnamed",
		"09:07 ":                                        "unnamed",
		"":                                              "unnamed",
	} {
		g := parse(t, before+unnamed)
		want := published(t, "PDARTS")
		want.Name = name
		equal(t, g, want)
	}
	if _, err := Parse(strings.NewReader("09:07 genotype = Genotype(normal=[('none', 7)])"), "x", Known{}); err == nil || !strings.Contains(err.Error(), "line 1, column 44") {
		t.Errorf("the place of a fault on a log line: %v", err)
	}
	if _, err := Parse(strings.NewReader("what genotype = "+unnamed), "x", Known{}); err == nil {
		t.Error("a word before a genotype is no log")
	}
}

// Load accepts a text, a file with a text, YAML, a published name, and combinations of them.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var yaml strings.Builder
	named := published(t, "PDARTS")
	named.Source = "the text Genotype(normal=...)"
	if err := named.Encode(&yaml); err != nil {
		t.Fatal(err)
	}
	stages, err := Format(published(t, "Hs_DAS_CIFAR_stages"))
	if err != nil {
		t.Fatal(err)
	}
	log := write("log-line.txt", "2024-02-30 09:07:05,123 genotype = "+unnamed+"\n")
	for given, name := range map[string]string{
		unnamed:                            "given",
		pdarts[1]:                          "PDARTS",
		log:                                "log-line",
		write("genotypes", unnamed):        "genotypes",
		write("cells.yaml", yaml.String()): "PDARTS",
		"pdarts":                           "PDARTS",
		log + "+Hs_DAS_CIFAR_stages":       "log-line+Hs_DAS_CIFAR_stages",
		"PDARTS+" + write("stages.txt", "s = "+stages[strings.Index(stages, "=")+1:]): "PDARTS+s",
	} {
		g, err := Load(given)
		if err != nil {
			t.Errorf("%.60q: %v", given, err)
			continue
		}
		want := published(t, "PDARTS")
		if strings.Contains(name, "+") {
			if want, err = genotype.Load("PDARTS+Hs_DAS_CIFAR_stages"); err != nil {
				t.Fatal(err)
			}
		}
		g.Source, g.Reported, want.Name = "", genotype.Reported{}, name
		equal(t, g, want)
	}
}

// Other texts and files give errors that say what they are, without much memory.
func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := syscall.Mkfifo(path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("huge.txt"), make([]byte, genotype.MostFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	const cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"
	if err := os.WriteFile(path("201.txt"), []byte("Structure(4 nodes with "+cell+")"), 0o600); err != nil {
		t.Fatal(err)
	}
	ranged := func(r string) string {
		return "Genotype(normal=[('none', 0), ('none', 1)], normal_concat=" + r + ", reduce=[('none', 0), ('none', 1)], reduce_concat=[2])"
	}
	for given, want := range map[string]string{
		cell:                                 "NAS-Bench-201, another search space",
		path("201.txt"):                      "NAS-Bench-201, another search space",
		path("huge.txt"):                     "larger than",
		path("pipe"):                         "empty",
		"/dev/zero":                          "is not a file",
		dir:                                  "is not a file",
		path("absent"):                       "no such file",
		ranged("range(0, 3000000000)"):       "0 to 1000",
		ranged("range(0, 1000, 9e9)"):        "0 to 1000",
		ranged("range(9223372036854775807)"): "",
		ranged("range(-9223372036854775808, 9223372036854775807)"): "0 to 1000",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Load(given)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v does not say %q", given, err, want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 8*genotype.MostFile {
			t.Errorf("%.60q: %d bytes were allocated", given, n)
		}
	}
}
