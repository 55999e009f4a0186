package simulation

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// network carries requests to the relay without a socket, with faults.
type network struct {
	chance
	h     http.Handler
	down  episodes // nothing arrives
	weird episodes // every request meets a fault of its own
	lazy  episodes // the relay is busy and asks to come back later: most of the time, which makes long runs fast

	told  *history
	mu    sync.Mutex
	n     int64
	under sync.WaitGroup // requests that are still under way
}

// The faults of one request.
const (
	unreachable = iota // does not arrive
	lostAnswer         // is served, the answer is lost
	cutAnswer          // is served, the answer breaks off in its body
	slowAnswer         // is served, the answer comes after the client gave up
	delayed            // fails at once, but arrives some minutes later
	doubled            // arrives twice
	errorBefore        // 500 before it is served
	errorAfter         // served, then 500
	busy               // 503 with Retry-After
	portal             // 200 with a page that is not the relay's
	requestFaults
)

func (w *network) fault(q *http.Request) (f int, n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	now := time.Now()
	if _, down := w.down.at(now); down {
		return unreachable, w.n
	}
	if _, weird := w.weird.at(now); weird {
		return int(w.chance.n(now.UnixMilli(), requestFaults)), w.n
	}
	if _, lazy := w.lazy.at(now); lazy {
		return busy, w.n
	}
	return -1, w.n
}

// RoundTrip carries one request.
func (w *network) RoundTrip(q *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	_ = q.Body.Close()
	serve := func() *http.Response {
		r := q.Clone(q.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := httptest.NewRecorder()
		w.h.ServeHTTP(rec, r)
		return rec.Result()
	}
	w.of(q.Method+q.URL.Path, 0).lag()
	if q.Context().Err() != nil {
		return nil, q.Context().Err()
	}
	f, n := w.fault(q)
	w.told.say("%s %s meets %d", q.Method, q.URL.Path, f)
	switch f {
	case unreachable:
		return nil, errors.New("dial tcp: network is unreachable")
	case lostAnswer:
		serve()
		return nil, io.ErrUnexpectedEOF
	case cutAnswer:
		res := serve()
		b, _ := io.ReadAll(res.Body)
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(b[:len(b)/2]), brokenReader{}))
		return res, nil
	case slowAnswer:
		serve()
		<-q.Context().Done()
		return nil, q.Context().Err()
	case delayed:
		if q.Method == http.MethodPost {
			w.under.Go(func() {
				<-time.After(time.Duration(w.chance.n(n, int64(40*time.Minute))))
				r := httptest.NewRequest(q.Method, q.URL.String(), bytes.NewReader(body))
				r.Header = q.Header
				w.h.ServeHTTP(httptest.NewRecorder(), r)
			})
		}
		return nil, io.ErrUnexpectedEOF
	case doubled:
		if q.Method == http.MethodPost {
			serve()
		}
		return serve(), nil
	case errorBefore, errorAfter:
		if f == errorAfter {
			serve()
		}
		return answer(500, `{"error":"server_error","error_description":"correlation 1"}`), nil
	case busy:
		res := answer(503, `{"error":"temporarily_unavailable"}`)
		res.Header.Set("Retry-After", []string{"90", "600", "3600", "3600", "3600", "3600"}[w.chance.n(n, 6)])
		return res, nil
	case portal:
		return answer(200, `<html>Please sign in to this hotel's network`), nil
	default:
		return serve(), nil
	}
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ProtoMajor: 1, ProtoMinor: 1}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
