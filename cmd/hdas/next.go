package main

import (
	"fmt"
	"strings"

	"github.com/mattn/go-runewidth"

	"hdas/configs"
	"hdas/datasets"
	"hdas/lab"
	"hdas/run"
)

// step is a command that makes sense after another one.
type step struct{ command, what string }

// next prints commands that make sense now, each with what it does, to the standard error: the standard output holds
// results alone. In a run that is one of several, nothing is printed.
func (p *program) next(steps []step) {
	if p.part {
		return
	}
	wide := 0
	for _, s := range steps {
		wide = max(wide, runewidth.StringWidth(plain(s.command)))
	}
	for i, s := range steps {
		head := map[bool]string{true: "next:"}[i == 0]
		fmt.Fprintf(p.err, "%-5s %s  # %s\n", head, runewidth.FillRight(plain(s.command), min(wide, 80)), s.what)
	}
}

// command joins the parts of a command, each of which is quoted if a shell needs it.
func command(words ...string) string {
	for i, w := range words {
		words[i] = quoted(w)
	}
	return "hdas " + strings.Join(words, " ")
}

// trainingOf returns the flags of a training on the data of a configuration: those of the built-in one for it.
func trainingOf(c configs.Common, staged bool) []string {
	name := map[bool]string{true: "hs-", false: "hc-"}[staged]
	switch {
	case c.Data.Embedded():
		return []string{"--config", "tiny-train"}
	case datasets.OfFiles(c.Data.Name):
		name += "imagenet-train"
	default:
		name += "train"
	}
	words := []string{"--config", name}
	if given, err := configs.LoadTrain(configs.Overrides{File: name, Alone: true, Form: configs.FormOf(staged)}); err != nil || given.Data.Name != c.Data.Name {
		words = append(words, "--set", "data.name="+c.Data.Name)
	}
	if c.Data.Dir != "" {
		words = append(words, "--data-dir", c.Data.Dir)
	}
	return words
}

// afterSearch returns what makes sense with what a search in a folder, or its selected seed, has found.
func afterSearch(c configs.Search, folder string, staged bool) []step {
	flags := trainingOf(c.Common, staged)
	return []step{
		{command(append([]string{"train", folder}, flags...)...), "train the network found"},
		{command(append([]string{"compare", folder}, flags...)...), "is it better than random ones?"},
		reportStep(folder),
	}
}

// afterTraining returns what makes sense with a trained network.
func afterTraining(folder string) []step {
	return []step{
		{command("eval", folder), "accuracy of each class"},
		{command("predict", folder, "IMAGE"), "classify images"},
		{command("export", folder, "-o", "network.onnx"), "for other programs; also .pt, .py"},
		reportStep(folder),
	}
}

// reportStep is the report of a run, or of the runs below a folder.
func reportStep(folder string) step {
	return step{command("report", folder), "curves, decisions and drawings on a page"}
}

// afterSeeds returns what makes sense with the searches of several seeds, of which one may be selected.
func afterSeeds(c configs.Search, s lab.Summary) []step {
	g, err := run.LoadGenotype(s.Selected)
	if s.Selected == "" || err != nil {
		return []step{reportStep(s.Folder)}
	}
	steps := afterSearch(c, s.Selected, len(g.Stages) > 0)
	steps[len(steps)-1] = reportStep(s.Folder)
	return steps
}

// afterCheck returns what makes sense with data sets that were read without faults.
func afterCheck(list []lab.Inspection, folder string, faults []error) []step {
	if len(faults) > 0 || len(list) == 0 {
		return nil
	}
	name := list[0].Dataset
	if datasets.Own(name) {
		return []step{{command("finetune", "CHECKPOINT", "--data-dir", folder), "train a network further on these images"}}
	}
	return []step{{command(append([]string{"train", "DARTS_V2"}, trainingOf(configs.Common{Data: configs.Data{Spec: datasets.Spec{Name: name, Dir: folder}}}, false)...)...), "train a network on it"}}
}
