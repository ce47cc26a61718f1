package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"hdas/internal/filekind"
	"hdas/metric/score"
	"hdas/run"
)

// readEvaluation returns the evaluation in the folder of a training, nil if there is none.
func readEvaluation(folder string) (*score.Evaluation, error) {
	file := filepath.Join(folder, run.EvaluationFile)
	text, err := filekind.Read(file, mostEvaluation)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var e score.Evaluation
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &e, nil
}

// writeEvaluation writes an evaluation to the folder of a training.
func writeEvaluation(folder string, e score.Evaluation) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return run.Replace(filepath.Join(folder, run.EvaluationFile), func(w io.Writer) error { _, err := w.Write(append(text, '\n')); return err })
}

// mostEvaluation is the largest size in bytes of an evaluation, whose matrix has the square of the number of classes.
const mostEvaluation = 1 << 28
