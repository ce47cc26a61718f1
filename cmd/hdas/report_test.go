package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hdas/lab"
	"hdas/run"
)

// A report has the runs below a folder, also damaged ones and those that go on, and the results of several seeds and of
// comparisons. It replaces a report and nothing else, and changes no run.
func TestReportPage(t *testing.T) {
	folder := someRuns(t)
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("compared/config.yaml", "train: {epochs: 5}\n")
	write("compared/compare.json", "{}")
	write("compared/comparison.json", `{"space":{"kind":"stage","size":"1e9"},"networks":[{"name":"found-1","top1":0.75},{"name":"random-1","top1":0.5},{"name":"random-2","top1":0.7}],"found":{"mean":0.75,"n":1},"random":{"mean":0.6,"sd":0.1,"n":2},"ri":{"mean":25,"sd":3,"n":2},"difference":{"mean":0.15,"low":-0.1,"high":0.4,"p":0.2}}`)
	write("five/config.yaml", "train: {epochs: 5}\n")
	write("five/seeds.json", `{"seeds":2}`)
	write("five/summary.json", `{"seeds":[{"seed":0,"test":{"top1":0.8125}},{"seed":1,"test":{"top1":0.7}}],"top1":{"mean":0.756,"sd":0.08,"n":2}}`)
	write("four/config.yaml", "search: {kind: cell}\n")
	write("four/seeds.json", `{"seeds":2}`)
	write("four/summary.json", `{"seeds":[{"seed":3,"valid":0.375,"selected":{"top1":0.6875}}],"valid":{"mean":0.375,"n":1},"agreement":{"mean":0.5,"sd":0.1,"n":3}}`)
	write("a/<b>&/config.yaml", "train: {epochs: 5}\ndata: {name: '<i>'}\n")
	write("a/training/evaluation.json", `{"epoch":1,"top1":0.5,"samples":2,"classes":[{"name":"x","images":2}],"confusion":[[2]]}`)
	write("a/training/starts.jsonl", `{"time":"noon","command":"hdas train X --out Y","more":{"threads":2}}`+"\n"+`{"time":"later"}`+"\n")
	held, err := run.Open(filepath.Join(folder, "b/search"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	at := filepath.Join(folder, "all.html")
	if out := must(t, "report", folder, "-o", at); !strings.Contains(out, "all.html") {
		t.Errorf("%q", out)
	}
	page := read(t, at)
	page = strings.NewReplacer("&#43;", "+", "%3c", "%3C", "%3e", "%3E").Replace(page)
	for _, text := range []string{
		"Report of 6 runs", "The run is damaged: ", "line 1, is damaged", "<td>running</td>", "cell search", "linear probe", "&lt;b&gt;&amp;", "&lt;i&gt;",
		"A found network and random ones out of a stage space of 1e9 genotypes", "60.00 % +- 10.00 (standard deviation of 2)", "75.00\u00a0%", "+15.00 points, 95 % interval -10.00 to +40.00",
		"The same run with 2 seeds.", "81.25\u00a0%", "37.50\u00a0%", "68.75\u00a0%", "Not all of the runs have ended",
		"<code>hdas eval " + filepath.Join(folder, "a/tuning") + "</code>", "<h4>Begun by</h4>", "hdas train X --out Y", "more.threads", "<h4>Resumed by</h4>",
		`<a href="a/training/epochs.jsonl">epochs.jsonl</a>`, `href="a/%3Cb%3E&amp;/config.yaml"`, "name: cifar10",
	} {
		if !strings.Contains(page, text) {
			t.Errorf("no %q", text)
		}
	}
	must(t, "report", folder, "-o", at)
	must(t, "report", filepath.Join(folder, "a/training"))
	if page := read(t, filepath.Join(folder, "a/training", reportFile)); !strings.Contains(page, `<a href="epochs.jsonl">`) || strings.Contains(page, "hdas eval") {
		t.Error("the report in the folder of the run has no link to its records, or not its evaluation")
	}
	if out := must(t, "report", filepath.Join(folder, "a/probe"), "-o", "-"); !strings.HasPrefix(out, "<!doctype html>") || !strings.Contains(out, "No epoch has ended yet") {
		t.Errorf("%.300s", out)
	}
	write("mine.html", "<!doctype html><p>mine")
	for args, says := range map[string]string{
		"a/training -o mine.html": "another web page", "a/training -o x.svg": ".html", "none": "none", "empty": "holds no run", "a/training empty": "holds no run",
	} {
		write("empty/readme", "")
		words := []string{"report"}
		for _, word := range strings.Fields(args) {
			if word != "-o" {
				word = filepath.Join(folder, word)
			}
			words = append(words, word)
		}
		if code, _, errs := call(t, words...); code != exitUsage || !strings.Contains(errs, says) {
			t.Errorf("%s: exit %d, %s", args, code, errs)
		}
	}
}

// The report of a training has the evaluation that the training and eval agree on, and that of a search what it decides,
// even if the cells of its stages are gone. How the genotype of the search grew can be drawn.
func TestReportOfRuns(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	notation := "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1)], normal_concat=[2], reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=[2])"
	if err := os.WriteFile(at("cells.txt"), []byte(notation), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, "import", "--genotype-text", at("cells.txt"), "-o", at("cells.yaml"))
	must(t, "search", "stage", "--config", "tiny-stage", "--set", "search.cells="+at("cells.yaml"), "--set", "search.epochs=2", "--set", "search.batch=1000", "--set", "network.channels=1", "--set", "search.lengths=[2,2,2]", "--set", "search.window=2", "--out", at("search"))
	must(t, "train", at("search"), "--config", "tiny-train", "--set", "train.epochs=1", "--set", "train.batch=1000", "--set", "network.channels=1", "--out", at("trained"))
	if err := os.Remove(at("cells.yaml")); err != nil {
		t.Fatal(err)
	}
	page := must(t, "report", at("search"), "-o", "-")
	for _, text := range []string{"Decided last, in epoch", "stage 3: operations of each edge", "c(k−2) → 0", "Depth loss", "Dead cells"} {
		if !strings.Contains(page, text) {
			t.Errorf("no %q in the report of the search", text)
		}
	}
	for file, begin := range map[string]string{"grown.svg": "<svg", "grown.gif": "GIF89a"} {
		must(t, "draw", at("search"), "--epochs", "-o", at(file))
		must(t, "draw", at("search"), "--epochs", "-o", at(file)) // replaces it
		if text := read(t, at(file)); !strings.HasPrefix(text, begin) {
			t.Errorf("%s begins with %.20q", file, text)
		}
	}
	if svg := must(t, "draw", at("search"), "--epochs", "-o", "-"); !strings.Contains(svg, "of 2</text>") && !strings.Contains(svg, "epochs 1 to 2") {
		t.Errorf("%.500s", svg)
	}
	for args, says := range map[string]string{
		"draw " + at("trained") + " --epochs": "no epoch with a genotype", "draw DARTS_V2 --epochs": "DARTS_V2", "draw DARTS_V2 -o " + at("x.gif"): ".svg or .png",
		"draw " + at("search") + " --epochs -o " + at("grown.png"): ".svg or .gif",
	} {
		if code, _, errs := call(t, strings.Fields(args)...); code != exitUsage || !strings.Contains(errs, says) {
			t.Errorf("%s: exit %d, %s", args, code, errs)
		}
	}
	was := read(t, at("trained/"+run.EvaluationFile))
	if err := os.Remove(at("trained/" + run.EvaluationFile)); err != nil {
		t.Fatal(err)
	}
	if r := lab.ReportOf(at("trained")); r.Evaluation != nil || r.Fault != "" {
		t.Errorf("%+v", r)
	}
	must(t, "eval", at("trained"), "--split", "train")
	if _, err := os.Stat(at("trained/" + run.EvaluationFile)); err == nil {
		t.Error("an evaluation on the training images is kept")
	}
	must(t, "eval", at("trained"), "--batch", "2000")
	if r := lab.ReportOf(at("trained")); r.Evaluation == nil || r.Evaluation.Epoch != 1 || r.Evaluation.Samples != 1000 {
		t.Errorf("%+v", r)
	}
	if now := read(t, at("trained/"+run.EvaluationFile)); now != was {
		t.Errorf("eval writes\n%s, not what the training has written:\n%s", now, was)
	}
	if page := must(t, "report", at("trained"), "-o", "-"); !strings.Contains(page, "After epoch 1: top-1") || !strings.Contains(page, `<table class="matrix">`) {
		t.Error("the report of the training has no matrix of confusion")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
