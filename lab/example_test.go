package lab_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing"

	"hdas/configs"
	"hdas/lab"
	"hdas/models/genotype"
	"hdas/run"
)

// The connections of three stages are searched for one epoch, on the embedded digits.
func ExampleSearch() {
	config, err := configs.LoadSearch(configs.StageSearch, configs.Overrides{File: "tiny-stage", Set: []string{
		"search.epochs=1", "search.batch=500", "search.lengths=[2,2,2]", "network.channels=2", "data.size=28", "network.preset=imagenet"}})
	check(err)
	dir, err := run.Create(filepath.Join(folder, "stages"))
	check(err)
	defer dir.Close()
	found, err := lab.Search(context.Background(), config, dir, lab.Watch{})
	check(err)
	fmt.Println(found.Genotype.Name, "has", len(found.Genotype.Stages), "stages; the supernet was scored on", found.Epoch.Valid.Samples, "images")
	// Output: stage-search-digits-seed0 has 3 stages; the supernet was scored on 2000 images
}

// A published network, made small, is trained for one epoch on the embedded digits, and its checkpoint
// is scored.
func ExampleTrain() {
	config, err := configs.LoadTrain(configs.Overrides{File: "tiny-train", Set: []string{
		"train.epochs=1", "train.batch=500", "network.channels=2", "network.layers=3", "data.size=32", "network.preset=imagenet"}})
	check(err)
	cells, err := genotype.Load("DARTS_V2")
	check(err)
	dir, err := run.Create(filepath.Join(folder, "trained"))
	check(err)
	last, err := lab.Train(context.Background(), config, cells, dir, lab.Watch{})
	check(err)
	dir.Close()
	score, err := lab.Evaluate(context.Background(), dir.Path(), lab.EvalOptions{Device: "auto", Batch: 500, Split: "test"}, lab.Watch{})
	check(err)
	fmt.Println("epoch", last.Epoch, "of", score.Genotype, "was scored on", score.Samples, "images; again:", score.Top1 == last.Test.Top1)
	// Output: epoch 1 of DARTS_V2 was scored on 1000 images; again: true
}

// folder is where the runs of tests are kept.
var folder string

func TestMain(m *testing.M) {
	var err error
	folder, err = os.MkdirTemp("", "hdas-lab-")
	check(err)
	code := m.Run()
	check(os.RemoveAll(folder))
	os.Exit(code)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
