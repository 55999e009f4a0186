package uplink

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/perseus-edge/perseus-edge/uplink/batch"
)

// fault is what a wire does to one request.
type fault int

const (
	none        fault = iota
	unreachable       // does not arrive
	lost              // is served, the answer is lost
	cut               // is served, the answer breaks off in its body
	slow              // is served, the answer comes after the client gave up
	late              // fails at once, but arrives some minutes later
	twice             // arrives twice
	failsBefore       // 500 before it is served
	failsAfter        // served, then 500
	busy              // 503 with Retry-After
	garbage           // 200 with an answer that says nothing
	faults
)

// wire carries requests to a handler without a socket, with faults.
type wire struct {
	t    testing.TB
	h    http.Handler
	pick func(*http.Request) fault   // nil: none
	look func(*http.Request, []byte) // sees every request as it leaves

	mu  sync.Mutex
	rng *rand.Rand
	wg  sync.WaitGroup // requests still under way
}

// trouble changes what the wire does, while it is in use.
func (w *wire) trouble(pick func(*http.Request) fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pick = pick
}

func (w *wire) fault(q *http.Request) fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pick == nil {
		return none
	}
	return w.pick(q)
}

func (w *wire) RoundTrip(q *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	q.Body.Close()
	if w.look != nil {
		w.look(q, body)
	}
	serve := func() *http.Response {
		r := q.Clone(q.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		w.h.ServeHTTP(rec, r)
		return rec.Result()
	}
	if q.Context().Err() != nil {
		return nil, q.Context().Err()
	}
	switch f := w.fault(q); f {
	case unreachable:
		return nil, errors.New("dial tcp: network is unreachable")
	case lost:
		serve()
		return nil, io.ErrUnexpectedEOF
	case cut:
		res := serve()
		b, _ := io.ReadAll(res.Body)
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(b[:len(b)/2]), brokenReader{}))
		return res, nil
	case slow:
		serve()
		<-q.Context().Done()
		return nil, q.Context().Err()
	case late:
		w.wg.Go(func() {
			w.mu.Lock()
			d := time.Duration(w.rng.Int64N(int64(40 * time.Minute)))
			w.mu.Unlock()
			pass(d)
			if q.Method == http.MethodPost {
				r := httptest.NewRequest(q.Method, q.URL.String(), bytes.NewReader(body))
				r.Header = q.Header
				w.h.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
		return nil, io.ErrUnexpectedEOF
	case twice:
		if q.Method == http.MethodPost {
			serve()
		}
		return serve(), nil
	case failsBefore, failsAfter:
		if f == failsAfter {
			serve()
		}
		return answerWith(500, `{"error":"server_error","error_description":"correlation 1"}`), nil
	case busy:
		res := answerWith(503, `{"error":"temporarily_unavailable"}`)
		res.Header.Set("Retry-After", "90")
		return res, nil
	case garbage:
		return answerWith(200, `<html>Please sign in to this hotel's network`), nil
	default:
		return serve(), nil
	}
}

func answerWith(status int, body string) *http.Response {
	rec := httptest.NewRecorder()
	rec.WriteHeader(status)
	rec.WriteString(body)
	return rec.Result()
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// law4 fails the test when a batch leaves that the client's grants do not
// cover at that moment.
func law4(t testing.TB, client func() *Client) func(*http.Request, []byte) {
	return func(q *http.Request, body []byte) {
		if q.Method != http.MethodPost || strings.HasPrefix(q.URL.Path, "/.well-known/est/") { // a question about a certificate carries no readings
			return
		}
		b, err := batch.Decode(body)
		if err != nil {
			t.Errorf("an unreadable batch leaves: %v", err)
			return
		}
		// New grants cancel the request in the same step in which they count:
		// the order of the two questions matters.
		if c := client(); !permitted(c.Grants(), time.Now(), b) && q.Context().Err() == nil {
			t.Errorf("batch %d leaves without a permission", b.Sequence)
		}
	}
}
