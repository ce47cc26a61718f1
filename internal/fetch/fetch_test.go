package fetch_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hdas/internal/fetch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// content is the published file.
var content = func() []byte {
	b := make([]byte, 300_000)
	for i := range b {
		b[i] = byte(i * i / 7)
	}
	return b
}()

// serve starts a server that answers request n, from 0, with handler n, and later requests correctly.
func serve(t *testing.T, first ...http.HandlerFunc) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := int(requests.Add(1)) - 1; n < len(first) && first[n] != nil {
			first[n](w, r)
			return
		}
		well(w, r)
	}))
	t.Cleanup(func() {
		s.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return s.URL + "/data.tar.gz", requests
}

func well(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "data.tar.gz", time.Time{}, bytes.NewReader(content))
}

// truncated sends a part and hangs up.
func truncated(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	w.Write(content[:100_000])
}

// stalled sends a part and then nothing, until the client hangs up.
func stalled(w http.ResponseWriter, r *http.Request) {
	truncated(w, r)
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", code) }
}

func page(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "<html>please log in to this network</html>")
}

var quick = fetch.Getter{Stall: 150 * time.Millisecond, Tries: 3, Pause: time.Millisecond}

func file(t *testing.T, url string) fetch.File {
	return fetch.File{URL: url, Path: filepath.Join(t.TempDir(), "new", "data.tar.gz"), MD5: fmt.Sprintf("%x", md5.Sum(content))}
}

func check(t *testing.T, f fetch.File) {
	t.Helper()
	got, err := os.ReadFile(f.Path)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes of %d, %v", len(got), len(content), err)
	}
	if _, err := os.Stat(f.Path + ".part"); err == nil {
		t.Error("the part is left")
	}
}

func TestGet(t *testing.T) {
	for name, first := range map[string][]http.HandlerFunc{
		"well":                    {},
		"truncated":               {truncated},
		"truncated twice":         {truncated, func(w http.ResponseWriter, r *http.Request) { r.Header.Del("Range"); truncated(w, r) }},
		"stalled":                 {stalled},
		"busy":                    {status(503), status(429)},
		"stalled, busy, cut":      {stalled, status(500), truncated},
		"another range":           {truncated, func(w http.ResponseWriter, r *http.Request) { r.Header.Set("Range", "bytes=5-"); well(w, r) }},
		"no ranges at all":        {truncated, func(w http.ResponseWriter, r *http.Request) { r.Header.Del("Range"); well(w, r) }},
		"a page after a bad line": {truncated, page},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := serve(t, first...)
			f := file(t, url)
			var last, total int64
			g := quick
			g.Progress = func(done, of int64) { last, total = done, of }
			err := g.Get(context.Background(), f)
			if name == "a page after a bad line" && err != nil && strings.Contains(err.Error(), "not what was published") {
				err = g.Get(context.Background(), f) // said so, and the next call starts anew
			}
			if err != nil {
				t.Fatal(err)
			}
			check(t, f)
			if last != int64(len(content)) || total != last {
				t.Errorf("the last progress is %d of %d", last, total)
			}
		})
	}
}

// An interrupted download continues from where it stopped: the server sends only the rest.
func TestGoesOnAfterInterruption(t *testing.T) {
	var sent atomic.Int64
	url, _ := serve(t, stalled, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "bytes=100000-" {
			t.Errorf("asked for %q", r.Header.Get("Range"))
		}
		sent.Add(1) // before the answer, whose end the download does not wait for
		well(w, r)
	})
	f := file(t, url)
	ctx, cancel := context.WithCancel(context.Background())
	g := quick
	g.Stall = time.Minute
	g.Progress = func(done, _ int64) {
		if done == 100_000 {
			cancel()
		}
	}
	if err := g.Get(ctx, f); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "continues") {
		t.Fatalf("cancelled: %v", err)
	}
	if err := quick.Get(context.Background(), f); err != nil || sent.Load() != 1 {
		t.Fatalf("%v, %d requests", err, sent.Load())
	}
	check(t, f)
}

// What is left of another file does not harm.
func TestAnotherPart(t *testing.T) {
	for _, n := range []int{1000, len(content), len(content) + 5} {
		url, _ := serve(t)
		f := file(t, url)
		os.MkdirAll(filepath.Dir(f.Path), 0o755)
		if err := os.WriteFile(f.Path+".part", make([]byte, n), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := quick.Get(context.Background(), f); err != nil {
			t.Fatalf("after %d wrong bytes: %v", n, err)
		}
		check(t, f)
	}
}

func TestThereAlready(t *testing.T) {
	url, requests := serve(t)
	f := file(t, url)
	if err := quick.Get(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	if err := quick.Get(context.Background(), f); !errors.Is(err, fetch.ErrThere) || requests.Load() != 1 {
		t.Errorf("%v after %d requests", err, requests.Load())
	}
	if err := os.WriteFile(f.Path, []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := quick.Get(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	check(t, f)
}

func TestGetFails(t *testing.T) {
	for want, h := range map[string]http.HandlerFunc{
		"404 Not Found; --url": status(404), "403 Forbidden": status(403), "not what was published": page, "given up after 3 tries": status(500),
		"no byte for": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		url, requests := serve(t, h, h, h, h, h)
		f := file(t, url)
		if err := quick.Get(context.Background(), f); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), url) {
			t.Errorf("%v does not have %q", err, want)
		}
		if strings.HasPrefix(want, "40") && requests.Load() != 1 {
			t.Errorf("%s: %d requests", want, requests.Load())
		}
		if _, err := os.Stat(f.Path); err == nil {
			t.Errorf("%s: a file is there", want)
		}
	}
	f := file(t, "http://127.0.0.1:1/data.tar.gz")
	if err := quick.Get(context.Background(), f); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody answers: %v", err)
	}
	f.URL = "no such://url"
	if err := quick.Get(context.Background(), f); err == nil {
		t.Error("no URL is fetched")
	}
}
