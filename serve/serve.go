// Package serve classifies images for HTTP clients. Images that arrive while the network is busy go through
// it together.
package serve

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"hdas/predict"
)

// Classifier decodes images and classifies them; predict.Predictor is one. Pixels is called by several
// goroutines at once, Guess by one.
type Classifier interface {
	Pixels(file []byte) ([]float32, error)             // of an image file, as the network takes them
	Guess(pixels []float32) ([][]predict.Guess, error) // the most likely classes of each of several images
}

// Options limit what clients can ask for. All numbers are at least 1.
type Options struct {
	Batch    int   // images that go through the network at once
	Images   int   // images of a request
	Bytes    int64 // size of a request's body
	Requests int   // requests that are worked on at once; others get the status 503
	// Name and Classes are what /healthz and the page say of the network.
	Name    string
	Classes int
}

// Server answers requests:
//
//	POST /         an image file as the body, or several as multipart/form-data; the answer is an Answer
//	GET /          a page on which images can be dropped
//	GET /healthz   the state of the server, a Health
//
// The status of an Answer is 200, or 422 if an image could not be decoded. Other errors are a Fault with
// the status 400 (no images, or no form), 413 (too large, too many), 503 (busy or stopping) or 500.
type Server struct {
	by      Classifier
	o       Options
	slots   chan struct{} // one for each request that is worked on
	decode  chan struct{} // one for each image that is decoded
	queue   chan job
	stopped chan struct{}
}

// Answer has a Result for each image of a request, in order.
type Answer struct {
	Images []Result `json:"images"`
}

// Result holds the most likely classes of an image, or the reason why there are none.
type Result struct {
	File    string          `json:"file,omitempty"` // the name that the client gave
	Guesses []predict.Guess `json:"guesses,omitempty"`
	Error   string          `json:"error,omitempty"`
}

// Health is the state of a server.
type Health struct {
	Status  string `json:"status"` // "ok"
	Network string `json:"network"`
	Classes int    `json:"classes"`
}

// Fault is the answer to a request that failed as a whole.
type Fault struct {
	Error string `json:"error"`
}

// job is an image on its way through the network.
type job struct {
	pixels []float32
	done   chan<- outcome
}

type outcome struct {
	guesses []predict.Guess
	err     error
}

//go:embed page.html
var page []byte

// New returns a server. It answers nothing before Run is called.
func New(by Classifier, o Options) *Server {
	return &Server{by: by, o: o, slots: make(chan struct{}, o.Requests), decode: make(chan struct{}, runtime.GOMAXPROCS(0)),
		queue: make(chan job), stopped: make(chan struct{})}
}

// stopLimit is how long a server waits for requests that it works on when it is stopped.
const stopLimit = 20 * time.Second

// Run answers the requests of a listener, which it closes, until ctx is cancelled. Then it finishes the
// requests that it works on, and returns nil.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	h := &http.Server{Handler: s.handler(Loopback(l)), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 16}
	worker := make(chan struct{})
	go func() { defer close(worker); s.work() }()
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(l) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		wait, cancel := context.WithTimeout(context.Background(), stopLimit)
		err = h.Shutdown(wait)
		cancel()
		h.Close()
		<-ended
	}
	close(s.stopped)
	<-worker
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// work sends images through the network until the server has stopped: all that wait, up to a batch.
func (s *Server) work() {
	for {
		var batch []job
		select {
		case j := <-s.queue:
			batch = append(batch, j)
		case <-s.stopped:
			return
		}
	fill:
		for len(batch) < s.o.Batch {
			select {
			case j := <-s.queue:
				batch = append(batch, j)
			default:
				break fill
			}
		}
		var pixels []float32
		for _, j := range batch {
			pixels = append(pixels, j.pixels...)
		}
		guesses, err := s.by.Guess(pixels)
		for i, j := range batch {
			o := outcome{err: err}
			if err == nil {
				o.guesses = guesses[i]
			}
			j.done <- o
		}
	}
}

func (s *Server) handler(local bool) http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	})
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		write(w, http.StatusOK, Health{"ok", s.o.Name, s.o.Classes})
	})
	m.HandleFunc("POST /{$}", s.classify)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if local && !localHost(r.Host) { // a page of another host whose name leads to this machine
			write(w, http.StatusForbidden, Fault{fmt.Sprintf("the server listens on the loopback device only, and not as %q", r.Host)})
			return
		}
		for key, value := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob:; connect-src 'self'"} {
			w.Header().Set(key, value)
		}
		m.ServeHTTP(w, r)
	})
}

// classify answers a POST.
func (s *Server) classify(w http.ResponseWriter, r *http.Request) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "1")
		write(w, http.StatusServiceUnavailable, Fault{fmt.Sprintf("%d requests are being answered already", s.o.Requests)})
		return
	}
	files, fault := s.read(w, r)
	if fault != nil {
		write(w, fault.status, Fault{fault.Error()})
		return
	}
	answer, status := Answer{make([]Result, len(files))}, http.StatusOK
	done := make([]chan outcome, len(files))
	for i, f := range files {
		answer.Images[i].File = f.name
		done[i] = make(chan outcome, 1)
		go s.enter(r.Context(), f.data, done[i])
	}
	for i := range files {
		o := <-done[i]
		var network networkError
		switch {
		case errors.As(o.err, &network):
			write(w, network.status(), Fault{network.Error()})
			return
		case o.err != nil:
			answer.Images[i].Error, status = o.err.Error(), http.StatusUnprocessableEntity
		default:
			answer.Images[i].Guesses = o.guesses
		}
	}
	write(w, status, answer)
}

// networkError is an error that is not the image's.
type networkError struct{ error }

func (e networkError) status() int {
	if errors.Is(e.error, context.Canceled) || errors.Is(e.error, http.ErrServerClosed) {
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// enter decodes an image, waits for the network and sends the outcome to done, which has room for it.
func (s *Server) enter(ctx context.Context, file []byte, done chan<- outcome) {
	pixels, err := s.pixels(file)
	if err != nil {
		done <- outcome{err: err}
		return
	}
	through := make(chan outcome, 1)
	select {
	case s.queue <- job{pixels, through}:
		o := <-through
		if o.err != nil {
			o.err = networkError{o.err}
		}
		done <- o
	case <-ctx.Done():
		done <- outcome{err: networkError{ctx.Err()}}
	case <-s.stopped:
		done <- outcome{err: networkError{http.ErrServerClosed}}
	}
}

// pixels decodes an image. A decoder's panic is an error of its image.
func (s *Server) pixels(file []byte) (pixels []float32, err error) {
	s.decode <- struct{}{}
	defer func() {
		<-s.decode
		if r := recover(); r != nil {
			err = fmt.Errorf("the image cannot be decoded: %v", r)
		}
	}()
	return s.by.Pixels(file)
}

type upload struct {
	name string
	data []byte
}

type readError struct {
	error
	status int
}

// read returns the images in a request's body.
func (s *Server) read(w http.ResponseWriter, r *http.Request) ([]upload, *readError) {
	body := http.MaxBytesReader(w, r.Body, s.o.Bytes)
	fail := func(err error) ([]upload, *readError) {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, &readError{fmt.Errorf("the request has more than %d bytes", s.o.Bytes), http.StatusRequestEntityTooLarge}
		}
		return nil, &readError{err, http.StatusBadRequest}
	}
	kind, parameters, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if !strings.HasPrefix(kind, "multipart/") {
		data, err := io.ReadAll(body)
		if err == nil && len(data) == 0 {
			err = errors.New("the request has no image; send the file as the body, or several as multipart/form-data")
		}
		if err != nil {
			return fail(err)
		}
		return []upload{{"", data}}, nil
	}
	var files []upload
	for parts := multipart.NewReader(body, parameters["boundary"]); ; {
		part, err := parts.NextPart()
		switch {
		case err == io.EOF && len(files) == 0:
			return fail(errors.New("the form has no file"))
		case err == io.EOF:
			return files, nil
		case err != nil:
			return fail(fmt.Errorf("the form cannot be read: %w", err))
		case part.FileName() == "": // a field of the form that is no file
			continue
		case len(files) == s.o.Images:
			return nil, &readError{fmt.Errorf("the form has more than %d images", s.o.Images), http.StatusRequestEntityTooLarge}
		}
		var data bytes.Buffer
		if _, err := io.Copy(&data, part); err != nil {
			return fail(fmt.Errorf("the form cannot be read: %w", err))
		}
		files = append(files, upload{part.FileName(), data.Bytes()})
	}
}

func write(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil { // a probability that is NaN
		status = http.StatusInternalServerError
		text, _ = json.Marshal(Fault{err.Error()})
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n')) // a client that is gone needs no answer
}

// localHost reports whether the header Host names the loopback device.
func localHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return slices.Contains([]string{"localhost", ""}, strings.ToLower(host)) || ip != nil && ip.IsLoopback()
}

// Loopback reports whether a listener can be reached from this machine only.
func Loopback(l net.Listener) bool {
	t, ok := l.Addr().(*net.TCPAddr)
	return ok && t.IP.IsLoopback()
}
