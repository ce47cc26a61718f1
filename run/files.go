package run

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hdas/models/genotype"
	"hdas/models/genotype/text"
)

// The names of the files in a run folder. No other package repeats them.
const (
	ConfigFile     = "config.yaml"                 // the resolved configuration
	GenotypeFile   = "genotype.yaml"               // the genotype that a search found or that a training trains
	DrawingFile    = "genotype.svg"                // the drawing of that genotype
	CheckpointFile = "checkpoint.safetensors"      // the newest checkpoint
	StartFile      = "init.json"                   // which weights a training took from the checkpoint that it started from
	ImportFile     = "init.safetensors"            // that checkpoint, if it was imported for the training
	EvaluationFile = "evaluation.json"             // of a training: a score.Evaluation on the test images
	BestFile       = "checkpoint-best.safetensors" // of a training with a validation part: the checkpoint of the best epoch
	bestFile       = "genotype-best-supernet.yaml"
	epochFiles     = "genotypes/epoch-%03d.yaml" // by the number of the epoch, from 1
	previous       = "checkpoint-previous.safetensors"
	records        = "epochs.jsonl"
	tableFile      = "epochs.csv"               // the numbers of the records
	eventsFile     = "events.out.tfevents.hdas" // the records for TensorBoard, which wants "tfevents" in the name
	basisFile      = "basis.json"               // what the run was begun with
	startsFile     = "starts.jsonl"             // a live.Start of each process that began or resumed the run
	stateFile      = "progress.json"            // a live.Report, while a process runs it
	elapsedFile    = "elapsed.json"             // beside a checkpoint within an epoch: how long the epoch has taken until then
	lockFile       = ".lock"
)

// mostRecord is the largest size in bytes of a file of records of a run.
const mostRecord = 4 << 30

// written lists the files that a run writes to its folder, except its basis and its lock, which one that did
// not begin may leave, and the genotypes of epochs after the first.
var written = []string{ConfigFile, GenotypeFile, DrawingFile, CheckpointFile, previous, StartFile, ImportFile, EvaluationFile, BestFile, bestFile, fmt.Sprintf(epochFiles, 1), records, tableFile, eventsFile, startsFile, stateFile, elapsedFile}

// Owns reports whether a path is that of a file of a run, in the folder of a run. A comparison has genotypes
// of its own.
func Owns(path string) bool {
	folder, name := filepath.Dir(path), filepath.Base(path)
	if !(&Dir{path: folder}).hasOneOf(ConfigFile, CheckpointFile, previous, records) {
		return filepath.Base(folder) == filepath.Dir(epochFiles) && Begun(filepath.Dir(folder))
	}
	for _, pattern := range append([]string{basisFile, lockFile, "found-*.yaml", "random-*.yaml"}, written...) {
		if ok, _ := filepath.Match(pattern, name); ok {
			return true
		}
	}
	return false
}

// WriteConfig writes the resolved configuration. A folder that has one can be opened by Open, so
// this is the last file that a program writes before the run begins.
func (d *Dir) WriteConfig(yaml []byte) error { return d.WriteFile(ConfigFile, yaml) }

// WriteGenotype writes the genotype that a search found or that a training trains.
func (d *Dir) WriteGenotype(g genotype.Genotype) error { return d.writeGenotype(GenotypeFile, g) }

// WriteBest writes the genotype of the epoch whose supernet had the highest validation accuracy.
func (d *Dir) WriteBest(g genotype.Genotype) error { return d.writeGenotype(bestFile, g) }

// WriteEpoch writes the genotype that is derived after an epoch, counted from 0.
func (d *Dir) WriteEpoch(epoch int, g genotype.Genotype) error {
	return d.writeGenotype(fmt.Sprintf(epochFiles, epoch+1), g)
}

// EpochFile returns the path of the genotype that was derived after an epoch, counted from 0, of the search in a folder.
func EpochFile(folder string, epoch int) string {
	return filepath.Join(folder, fmt.Sprintf(epochFiles, epoch+1))
}

// WriteDrawing writes the drawing of the run's genotype.
func (d *Dir) WriteDrawing(svg []byte) error { return d.WriteFile(DrawingFile, svg) }

func (d *Dir) writeGenotype(name string, g genotype.Genotype) error {
	var text bytes.Buffer
	if err := g.Encode(&text); err != nil {
		return err
	}
	return d.WriteFile(name, text.Bytes())
}

// Begun reports whether a folder holds the configuration of a run, so that Open can open it.
func Begun(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, ConfigFile))
	return err == nil
}

// LoadGenotype returns a genotype by the name of a published one, the name of a file (YAML or DARTS'
// notation), the notation itself, CELLS+STAGES, or the folder of the run that found or trained it.
func LoadGenotype(name string) (genotype.Genotype, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		name = filepath.Join(name, GenotypeFile)
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return genotype.Genotype{}, fmt.Errorf("there is no %s: the search has not ended, or the folder is not that of a search", name)
		}
	}
	return text.Load(name)
}
