package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
)

func (s *server) status(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, s.agent.Status())
}

// healthz is 200 while the buses live and readings can be stored, else 503.
func (s *server) healthz(w http.ResponseWriter, r *http.Request) {
	if reasons := s.agent.Health(); len(reasons) > 0 {
		answer(w, http.StatusServiceUnavailable, map[string]any{"status": "failing", "reasons": reasons})
		return
	}
	answer(w, http.StatusOK, map[string]any{"status": "ok"})
}

func (s *server) readings(w http.ResponseWriter, r *http.Request) {
	if q, ok := s.query(w, r, ReadingsSpan); ok {
		stream(s, w, "readings", s.agent.Readings(q))
	}
}

func (s *server) history(w http.ResponseWriter, r *http.Request) {
	if q, ok := s.query(w, r, ReadingsSpan); ok {
		stream(s, w, "history", History(s.book, q, s.agent.Period()))
	}
}

func (s *server) findings(w http.ResponseWriter, r *http.Request) {
	if q, ok := s.query(w, r, FindingsSpan); ok {
		stream(s, w, "findings", Findings(s.book, q))
	}
}

func (s *server) statements(w http.ResponseWriter, r *http.Request) {
	q, err := ParseRegister(r.URL.Query(), "meter", "measure")
	if s.asked(w, q, err) {
		stream(s, w, "statements", Statements(s.book, q))
	}
}

// query reads what is asked for, and answers what is wrong with it.
func (s *server) query(w http.ResponseWriter, r *http.Request, span time.Duration) (agent.Query, bool) {
	q, err := ParseQuery(r.URL.Query(), s.agent.Now(), span)
	return q, s.asked(w, q, err)
}

func (s *server) asked(w http.ResponseWriter, q agent.Query, err error) bool {
	switch {
	case err != nil:
		fail(w, http.StatusBadRequest, "invalid_request", err.Error())
	case q.Meter != "" && !s.agent.HasMeter(q.Meter):
		fail(w, http.StatusNotFound, "not_found", fmt.Sprintf("no meter %q in the configuration", q.Meter))
	default:
		return true
	}
	return false
}

// The times that an API call or a command spans where it names none.
const (
	ReadingsSpan = 24 * time.Hour
	FindingsSpan = 7 * 24 * time.Hour
)

// ParseRegister reads meter and measure; known are the parameters that may
// be there at all.
func ParseRegister(v url.Values, known ...string) (q agent.Query, err error) {
	for k, vs := range v {
		if !slices.Contains(known, k) {
			return q, fmt.Errorf("unknown parameter %q: use %s", k, strings.Join(known, ", "))
		}
		if len(vs) > 1 {
			return q, fmt.Errorf("parameter %s is given twice", k)
		}
	}
	q.Meter = v.Get("meter")
	if m := v.Get("measure"); m != "" {
		q.Measure, err = energy.ParseMeasure(m)
	}
	return q, err
}

// ParseQuery reads meter, measure, from and to. Times are RFC 3339 or a date
// (midnight UTC); from defaults to span before to, to to now.
func ParseQuery(v url.Values, now time.Time, span time.Duration) (q agent.Query, err error) {
	if q, err = ParseRegister(v, "meter", "measure", "from", "to"); err != nil {
		return q, err
	}
	q.To = now
	if t := v.Get("to"); t != "" {
		if q.To, err = ParseTime(t); err != nil {
			return q, fmt.Errorf("to: %w", err)
		}
	}
	q.From = q.To.Add(-span)
	if t := v.Get("from"); t != "" {
		if q.From, err = ParseTime(t); err != nil {
			return q, fmt.Errorf("from: %w", err)
		}
	}
	if !q.From.Before(q.To) {
		return q, errors.New("from must be before to")
	}
	return q, nil
}

// ParseTime reads an RFC 3339 time or a date, which is its midnight in UTC.
func ParseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			if y := t.Year(); y < 1970 || y > 2200 {
				return time.Time{}, fmt.Errorf("%q is out of range: 1970 to 2200", s)
			}
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write 2026-10-01 or 2026-10-01T08:30:00Z", s)
}

// importing takes a half-hourly file from this machine.
func (s *server) importing(w http.ResponseWriter, r *http.Request) {
	if ct := r.Header.Get("Content-Type"); ct != "application/octet-stream" {
		fail(w, http.StatusUnsupportedMediaType, "invalid_request", "send the file as application/octet-stream")
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, agent.MaxImport))
	if err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			fail(w, http.StatusRequestEntityTooLarge, "invalid_request", fmt.Sprintf("the file is larger than %d MiB: split it", agent.MaxImport>>20))
		} else {
			fail(w, http.StatusBadRequest, "invalid_request", "the file did not arrive whole")
		}
		return
	}
	q := r.URL.Query()
	label, err := ParseLabel(q.Get("label"))
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	rep, err := s.agent.Import(agent.ImportRequest{File: q.Get("file"), Data: data, Meter: q.Get("meter"), ID: q.Get("id"), Label: label})
	if err != nil {
		fail(w, http.StatusUnprocessableEntity, "invalid_file", err.Error())
		return
	}
	answer(w, http.StatusOK, rep)
}

// ParseLabel reads which instant a file's times name: start, end, or nothing.
func ParseLabel(s string) (hhfile.Label, error) {
	switch s {
	case "":
		return hhfile.Auto, nil
	case "start":
		return hhfile.Start, nil
	case "end":
		return hhfile.End, nil
	}
	return 0, fmt.Errorf("label %q: use start or end", s)
}
