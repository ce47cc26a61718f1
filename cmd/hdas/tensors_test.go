package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"hdas/torch"
)

// Commands about genotypes and sizes make no tensor.
func TestCommandsWithoutTensors(t *testing.T) {
	text := filepath.Join(t.TempDir(), "found.txt")
	notation := "Found = Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0)], normal_concat=[2], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1)], reduce_concat=[2])\n"
	if err := os.WriteFile(text, []byte(notation), 0o600); err != nil {
		t.Fatal(err)
	}
	made, live := torch.Made(), torch.Live()
	for _, args := range [][]string{
		{"show", "DARTS_V2"}, {"show", "genotypes"}, {"show", "DARTS_V1+Hs_DAS_CIFAR_stages", "--preset", "imagenet", "--json"}, {"show", "AmoebaNet", "--text"},
		{"space"}, {"space", "stage", "--window", "4"},
		{"draw", "Hs_DAS_CIFAR_stages", "-o", "-"},
		{"import", "--genotype-text", text, "-o", "-"},
	} {
		var out, errs bytes.Buffer
		if code := execute(context.Background(), args, &out, &errs); code != 0 || out.Len() == 0 {
			t.Errorf("%q: exit code %d: %s", args, code, errs.String())
		}
	}
	if m, l := torch.Made(), torch.Live(); m != made || l != live {
		t.Errorf("%d tensors were made, %d are left", m-made, l-live)
	}
}
