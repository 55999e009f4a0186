package web

import (
	"encoding/json"
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
	q, err := ParseQuery(r.URL.Query(), s.agent.Now())
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	if q.Meter != "" && !s.agent.HasMeter(q.Meter) {
		fail(w, http.StatusNotFound, "not_found", fmt.Sprintf("no meter %q in the configuration", q.Meter))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	sep := `{"data":[` + "\n"
	for x, err := range s.agent.Readings(q) {
		if err != nil {
			s.log.Error("readings cannot be read", "error", err)
			if sep[0] == '{' {
				fail(w, http.StatusInternalServerError, "server_error", "the store cannot be read: see the agent's log")
				return
			}
			panic(http.ErrAbortHandler) // a cut answer must not look like a whole one
		}
		b, err := json.Marshal(x)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if _, err := fmt.Fprintf(w, "%s%s", sep, b); err != nil {
			return
		}
		sep = ",\n"
	}
	if sep[0] == '{' {
		io.WriteString(w, sep)
	}
	io.WriteString(w, "\n]}\n")
}

// ParseQuery reads meter, measure, from and to. Times are RFC 3339 or a date
// (midnight UTC); from defaults to a day before to, to to now.
func ParseQuery(v url.Values, now time.Time) (q agent.Query, err error) {
	known := []string{"meter", "measure", "from", "to"}
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
		if q.Measure, err = energy.ParseMeasure(m); err != nil {
			return q, err
		}
	}
	q.To = now
	if t := v.Get("to"); t != "" {
		if q.To, err = ParseTime(t); err != nil {
			return q, fmt.Errorf("to: %w", err)
		}
	}
	q.From = q.To.Add(-24 * time.Hour)
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
