package live

import (
	"strings"
	"time"
	"unicode"
)

// Start says what a run is, before its first step.
type Start struct {
	Time    time.Time `json:"time"`
	Command string    `json:"command,omitempty"` // of the process that runs it, quoted for a shell; empty: a program that is not hdas
	Folder  string    `json:"folder"`
	Resume  string    `json:"resume"` // the command that resumes it
	// ResumedAt is where the run goes on; nil if it begins.
	ResumedAt *Position `json:"resumed_at,omitempty"`

	Name          string `json:"name"`                    // "stage search, seed 0"
	Kind          string `json:"kind"`                    // "stage search", "training", "fine-tuning", "linear probe"
	Configuration string `json:"configuration,omitempty"` // the built-in one or the file that it was begun with; empty: the defaults, or its own
	Seed          uint64 `json:"seed"`
	Runs          int    `json:"runs,omitempty"`    // that the process runs in processes of their own, with consecutive seeds; 0: one, in this process
	AtOnce        int    `json:"at_once,omitempty"` // of them

	Device       string `json:"device"`
	Processes    int    `json:"processes,omitempty"` // that compute the run together; 0: one
	Threads      int    `json:"threads"`             // of each run, on the CPU
	Precision    string `json:"precision"`
	Libtorch     string `json:"libtorch"`
	Instructions string `json:"instructions"`   // of the CPU
	CUDA         string `json:"cuda,omitempty"` // what is switched on and off for a CUDA device
	Host         string `json:"host,omitempty"`

	Network Network `json:"network"`
	Epochs  int     `json:"epochs"`
	Steps   int     `json:"steps,omitempty"` // in an epoch
	Batch   int     `json:"batch,omitempty"` // images of a step, of each part that is learned from
	Data    Data    `json:"data"`
	Memory  *Memory `json:"memory,omitempty"`
}

// Position is a place in a run.
type Position struct {
	Epoch int `json:"epoch"` // epochs finished
	Step  int `json:"step"`  // steps finished in the epoch after that
}

// Network is the size of the network that learns. That of several runs has no numbers.
type Network struct {
	Genotype     string `json:"genotype,omitempty"` // of a training; of a search of stages, that whose cells they are made of
	Preset       string `json:"preset"`
	Channels     int64  `json:"channels"`
	Cells        int    `json:"cells,omitempty"`        // reduction cells included
	Parameters   int64  `json:"parameters,omitempty"`   // with the auxiliary head, if it has one; of a search, of the supernet
	Architecture int64  `json:"architecture,omitempty"` // parameters of the architecture, of a search
	MACs         int64  `json:"macs,omitempty"`         // multiply-adds for an image, without the auxiliary head; of a search, with all candidates
}

// Data is what a run reads.
type Data struct {
	Name    string `json:"name"`
	Classes int    `json:"classes"`
	Image   [3]int `json:"image,omitzero"` // channels, height, width
	Parts   []Part `json:"parts"`
}

// Part is a part of the data.
type Part struct {
	Name   string `json:"name"` // "train", "validation", "test"; of a search "weights" and "architecture"
	Images int    `json:"images"`
}

// Memory is what a run will need, as far as a few small steps tell before it begins.
type Memory struct {
	Expected int64 `json:"expected"` // bytes that will probably be enough
	Free     int64 `json:"free"`     // bytes that it can use; 0: unknown
}

// CommandLine returns the words of a command as a shell reads them.
func CommandLine(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}

// Quote returns a word of a command line, in quotes if a shell would change it.
func Quote(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_-+=./,:@%", r)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
