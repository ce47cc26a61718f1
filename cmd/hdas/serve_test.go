package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hdas/serve"
)

// serveImages holds a server to what predict says of an image, and stops it.
func serveImages(t *testing.T, checkpoint string) {
	var data bytes.Buffer
	m := image.NewRGBA(image.Rect(0, 0, 50, 40))
	m.Set(30, 20, color.White)
	if err := png.Encode(&data, m); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.png")
	if err := os.WriteFile(path, data.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	var want predictions
	if err := json.Unmarshal([]byte(must(t, "predict", checkpoint, path, "--json", "--top", "2")), &want); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	said, errs := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- execute(ctx, []string{"serve", checkpoint, "--listen", "127.0.0.1:0", "--top", "2"}, io.Discard, errs)
		errs.Close()
	}()
	lines := bufio.NewScanner(said)
	lines.Scan()
	first := lines.Text()
	_, after, ok := strings.Cut(first, "http://")
	address, _, _ := strings.Cut(after, ";")
	if !ok || !strings.Contains(first, "classes") {
		t.Fatalf("it says %q", first)
	}
	r, err := http.Post("http://"+address, "image/png", bytes.NewReader(data.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var got serve.Answer
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.StatusCode != http.StatusOK || len(got.Images) != 1 || !slices.Equal(got.Images[0].Guesses, want.Images[0].Guesses) {
		t.Errorf("%d, %+v, %v, where predict says %+v", r.StatusCode, got, err, want)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	var rest []string
	for lines.Scan() {
		rest = append(rest, lines.Text())
	}
	if c := <-code; c != 0 || !slices.Equal(rest, []string{"stopped"}) {
		t.Errorf("exit %d, %q", c, rest)
	}
}
