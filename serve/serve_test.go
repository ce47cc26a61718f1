package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	_ "hdas/internal/torchtest"
	"hdas/predict"
	"hdas/serve"
)

// network classifies files of one byte: the class of 'b' is 1, and so on. Others cannot be decoded. It waits for
// a value from each before it classifies a batch.
type network struct {
	each    chan struct{} // nil: it does not wait
	decoded atomic.Int64  // images so far
	mu      sync.Mutex
	batches []int
}

func (n *network) Pixels(file []byte) ([]float32, error) {
	switch {
	case string(file) == "panic":
		panic("of the decoder")
	case len(file) != 1:
		return nil, errors.New("no image")
	}
	n.decoded.Add(1)
	return []float32{float32(file[0] - 'a')}, nil
}

func (n *network) Guess(pixels []float32) (guesses [][]predict.Guess, err error) {
	if n.each != nil {
		<-n.each
	}
	n.mu.Lock()
	n.batches = append(n.batches, len(pixels))
	n.mu.Unlock()
	for _, x := range pixels {
		if x == 25 {
			return nil, errors.New("the network failed")
		}
		guesses = append(guesses, []predict.Guess{{Class: fmt.Sprint("class ", x), Index: int(x), Probability: 1}})
	}
	return guesses, nil
}

// start runs a server until cancel is called, and returns its address. Its error comes from ended.
func start(t *testing.T, n *network, o serve.Options) (url string, cancel func(), ended <-chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- serve.New(n, o).Run(ctx, l) }()
	return "http://" + l.Addr().String() + "/", cancel, end
}

var options = serve.Options{Batch: 4, Images: 3, Bytes: 1000, Requests: 8, Name: "DARTS_V2", Classes: 26}

func form(t *testing.T, files ...string) (kind string, body io.Reader) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	w.WriteField("comment", "no file")
	for i, f := range files {
		part, err := w.CreateFormFile("image", fmt.Sprintf("%d.jpg", i))
		if err != nil {
			t.Fatal(err)
		}
		part.Write([]byte(f))
	}
	w.Close()
	return w.FormDataContentType(), &b
}

func post(t *testing.T, url, kind string, body io.Reader) (status int, text string) {
	t.Helper()
	r, err := http.Post(url, kind, body)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	all, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(all)
}

// One image, several, and what is no image; the page and the state; and every limit has its status and words.
func TestAnswers(t *testing.T) {
	defer goleak.VerifyNone(t)
	defer http.DefaultClient.CloseIdleConnections()
	url, cancel, ended := start(t, &network{}, options)
	several := func(files ...string) (string, io.Reader) { return form(t, files...) }
	single := func(body string) (string, io.Reader) { return "image/jpeg", strings.NewReader(body) }
	for name, c := range map[string]struct {
		send   func() (string, io.Reader)
		status int
		words  string
	}{
		"one":           {func() (string, io.Reader) { return single("c") }, 200, `{"images":[{"guesses":[{"class":"class 2","index":2,"probability":1}]}]}`},
		"several":       {func() (string, io.Reader) { return several("a", "b") }, 200, `{"images":[{"file":"0.jpg","guesses":[{"class":"class 0","index":0,"probability":1}]},{"file":"1.jpg","guesses":[{"class":"class 1"`},
		"one is none":   {func() (string, io.Reader) { return several("a", "xx") }, 422, `{"file":"1.jpg","error":"no image"}`},
		"a panic":       {func() (string, io.Reader) { return single("panic") }, 422, "cannot be decoded: of the decoder"},
		"nothing":       {func() (string, io.Reader) { return single("") }, 400, "no image"},
		"an empty form": {func() (string, io.Reader) { return several() }, 400, "no file"},
		"a broken form": {func() (string, io.Reader) {
			return "multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nabc")
		}, 400, "cannot be read"},
		"too many":        {func() (string, io.Reader) { return several("a", "b", "c", "d") }, 413, "more than 3 images"},
		"too large":       {func() (string, io.Reader) { return single(strings.Repeat("a", 1001)) }, 413, "more than 1000 bytes"},
		"a large form":    {func() (string, io.Reader) { return several(strings.Repeat("a", 1001)) }, 413, "more than 1000 bytes"},
		"network's fault": {func() (string, io.Reader) { return single("z") }, 500, "the network failed"},
	} {
		kind, body := c.send()
		status, text := post(t, url, kind, body)
		if status != c.status || !strings.Contains(text, c.words) || !json.Valid([]byte(text)) {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	for path, c := range map[string]struct {
		status int
		words  string
	}{"": {200, "<title>hdas serve</title>"}, "healthz": {200, `{"status":"ok","network":"DARTS_V2","classes":26}`}, "other": {404, "not found"}} {
		r, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != c.status || !strings.Contains(string(text), c.words) || r.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%q: %d %.200s", path, r.StatusCode, text)
		}
	}
	request, _ := http.NewRequest("GET", url+"healthz", nil)
	request.Host = "photos.example.org"
	if r, err := http.DefaultClient.Do(request); err != nil || r.Body.Close() != nil || r.StatusCode != 403 {
		t.Errorf("under another name: %v, %v", r, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Images that wait go through the network together, requests beyond the limit are refused, and a server that is
// stopped answers those that it has begun.
func TestTogetherAndStopped(t *testing.T) {
	defer goleak.VerifyNone(t)
	defer http.DefaultClient.CloseIdleConnections()
	n := &network{each: make(chan struct{})}
	o := options
	o.Requests = 3
	url, cancel, ended := start(t, n, o)
	answers := make(chan string, 3)
	ask := func(files ...string) {
		kind, body := form(t, files...)
		status, text := post(t, url, kind, body)
		answers <- fmt.Sprint(status, strings.Count(text, "guesses"))
	}
	go ask("a")
	go ask("a", "b", "c")
	go ask("a", "b")
	for n.decoded.Load() < 6 { // all wait for the network
		time.Sleep(time.Millisecond)
	}
	if status, text := post(t, url, "image/jpeg", strings.NewReader("")); status != 503 || !strings.Contains(text, "3 requests") {
		t.Errorf("a fourth request: %d %s", status, text)
	}
	cancel()
	released := make(chan struct{})
	go func() {
		for {
			select {
			case n.each <- struct{}{}:
				time.Sleep(10 * time.Millisecond) // decoded images reach the queue while a batch is computed
			case <-released:
				return
			}
		}
	}()
	got := map[string]int{}
	for range 3 {
		got[<-answers]++
	}
	close(released)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got["200 1"] != 1 || got["200 3"] != 1 || got["200 2"] != 1 {
		t.Errorf("answers %v", got)
	}
	total := 0
	for _, size := range n.batches {
		total += size
		if size > o.Batch {
			t.Errorf("a batch of %d", size)
		}
	}
	if total != 6 || len(n.batches) == 6 {
		t.Errorf("batches %v", n.batches)
	}
}
