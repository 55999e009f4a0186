package consumption

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/relay/ingest"
	"github.com/perseus-edge/perseus-edge/relay/permission"
)

// answerTime is how long an answer may take, from the check of the token to the
// last byte. A permission that is withdrawn meanwhile has nothing leave later
// than a minute after.
const answerTime = 50 * time.Second

// readings serves GET /datasources/{id}/{measure}.
func (s *Service) readings(w http.ResponseWriter, r *http.Request, a permission.Access) error {
	ctx := r.Context()
	src, name, key, err := s.find(ctx, a, r.PathValue("id"), r.PathValue("measure"))
	if err != nil {
		return err
	}
	asked, err := parseWindow(r.URL.Query(), s.c.Now())
	if err != nil {
		return err
	}
	if err := asked.requireGzip(r.Header); err != nil {
		return err
	}
	served := asked.within(a.From, a.Expires)
	if !asked.to.After(a.From) || !asked.from.Before(a.Expires) {
		return fail(http.StatusBadRequest, "invalid_request", "from and to: this permission covers %s to %s", stamp(a.From), stamp(a.Expires))
	}
	first, err := s.tally(ctx, a.Gateway, key, served)
	if err != nil {
		return err
	}
	retry, err := s.arrival(ctx, a, src, key, served, first)
	if err != nil {
		return err
	}
	if retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(retry/time.Second)))
		writeJSON(w, http.StatusAccepted, map[string]string{"message": "The meter is known, but its half-hours of this time are not all here yet."})
		return nil
	}
	sum := Summary{
		Path: "/datasources/" + src.ID + "/" + name, Measure: name, Type: src.Type, Outcode: src.Location.Outcode,
		Expected: asked.halfHours(), Present: first.present, Batches: first.batches, SHA256: first.hash(), Qualities: first.runs,
	}
	sum.assure(&first)
	if first.present > 0 {
		if sum.Statements, err = s.c.Store.MonthStatements(ctx, a.Gateway, key, served.from, served.to); err != nil {
			return err
		}
	}
	record, err := s.c.Provenance.Provenance(ctx, a, a.Gateway, key, asked.from, asked.to, sum)
	if err != nil {
		return err
	}
	s.log.Info("consumption: half-hours served", "permission", a.Permission, "client", a.Client, "source", src.ID, "measure", name,
		"window", asked.String(), "half_hours", first.present)
	if err := s.send(w, r, a, src, key, served, record, first); err != nil {
		// The answer has begun: break it off, so that nobody takes it for whole.
		s.log.Warn("consumption: answer broken off", "permission", a.Permission, "source", src.ID, "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// find looks a data source up among those that the permission covers.
func (s *Service) find(ctx context.Context, a permission.Access, id, measure string) (source, string, energy.Key, error) {
	list, err := s.covered(ctx, a)
	if err != nil {
		return source{}, "", energy.Key{}, err
	}
	for _, src := range list {
		if src.ID == id && slices.Contains(src.Measures, measure) {
			m, _ := measureOf(src.Type, measure) // known: it is in the list
			return src, measure, energy.Key{Meter: src.meter, Measure: m}, nil
		}
	}
	return source{}, "", energy.Key{}, errNotFound
}

// tally passes over the half-hours once: their provenance must be signed
// before the first byte goes out, so that a failure can still be told.
func (s *Service) tally(ctx context.Context, gateway string, k energy.Key, w window) (tally, error) {
	var t tally
	for r, err := range s.c.Store.Readings(ctx, gateway, k, w.from, w.to) {
		if err != nil {
			return t, err
		}
		t.add(r)
	}
	return t, nil
}

var errChanged = errors.New("the half-hours changed between two passes")

// send streams the answer, and fails when it is not what first has counted.
func (s *Service) send(w http.ResponseWriter, r *http.Request, a permission.Access, src source, k energy.Key, win window, record json.RawMessage, first tally) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	var out io.Writer = w
	var packed *gzip.Writer
	if acceptsGzip(r.Header) {
		h.Set("Content-Encoding", "gzip")
		packed = gzip.NewWriter(w)
		out = packed
	}
	w.WriteHeader(http.StatusOK)
	buf := bufio.NewWriterSize(out, 16<<10)
	buf.WriteString(`{"data":[`)
	var second tally
	var line []byte
	for reading, err := range s.c.Store.Readings(r.Context(), a.Gateway, k, win.from, win.to) {
		if err != nil {
			return err
		}
		line = line[:0]
		if second.present > 0 {
			line = append(line, ',')
		}
		line = appendReading(line, src.Type, k.Measure, reading)
		if _, err := buf.Write(line); err != nil {
			return err
		}
		second.add(reading)
	}
	if second.present != first.present || second.hash() != first.hash() || second.worst != first.worst || second.derived != first.derived || !slices.Equal(second.batches, first.batches) {
		return errChanged
	}
	place, err := json.Marshal(src.Location)
	if err != nil {
		return err
	}
	buf.WriteString(`],"location":`)
	buf.Write(place)
	buf.WriteString(`,"provenance":`)
	buf.Write(record)
	buf.WriteString("}\n")
	if err := buf.Flush(); err != nil {
		return err
	}
	if packed != nil {
		return packed.Close()
	}
	return nil
}

// appendReading writes one half-hour. kind is "electricity" or "gas".
func appendReading(b []byte, kind string, m energy.Measure, r ingest.Reading) []byte {
	amount := func(name string, v int64) {
		b = append(b, `,"`+name+`":{"value":`...)
		b = append(b, m.Present(v)...)
		b = append(b, `,"unitCode":"`+m.UnitCode()+`"}`...)
	}
	when := func(name, value string) { b = append(b, `,"`+name+`":"`+value+`"`...) }
	b = append(b, `{"type":`...)
	b = strconv.AppendQuote(b, kind)
	when("from", stamp(r.Start))
	when("to", stamp(r.Start.Add(energy.Period)))
	when("takenAt", stamp(r.TakenAt))
	amount("energy", r.Energy)
	if r.Cumulative >= 0 {
		amount("cumulative", r.Cumulative)
	}
	return append(b, '}')
}
