package dcc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/energy"
	"github.com/perseus-edge/perseus-edge/energy/hhfile"
)

// A drop folder takes the half-hourly files of suppliers and data collectors,
// as energy/hhfile knows them, and n3rgy's answers saved as files. A file is taken once it has not changed for
// rest, and goes to done/ then, or to bad/ with a note beside it that says why.
// A device's Name is the MPAN or meter id in the file; where a folder has one
// device and a file one meter, the name need not match.
//
// A file stays where it is until all that it held is stored: whatever dies in
// between, it is taken again, and nothing is lost.
type folder struct {
	*counts
	cfg   Config
	path  string
	label hhfile.Label

	health sync.Mutex
	err    error
	seen   map[string]look // files that may still be written to
}

// look is a file as it was when it was seen to have changed.
type look struct {
	size  int64
	at    time.Time
	since time.Time // when we saw it so first
}

// The pace and bounds of a drop folder.
const (
	lookEvery = 10 * time.Second
	rest      = 30 * time.Second // a slow upload pauses for less
	// MaxFile bounds one file: 32 MiB, a hundred meters for a year.
	MaxFile = 32 << 20
	atOnce  = 2000 // half-hours that are delivered before they are stored
)

// unfinished are the names that programs give files while they write them.
var unfinished = []string{".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", ".swp", "~"}

func checkFolder(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "file" || u.Host != "" || !strings.HasPrefix(u.Path, "/") {
		return fmt.Errorf("url %q: write the folder as file:///var/lib/perseus-edge/drop", s)
	}
	_, err = labelOf(u)
	return err
}

// labelOf is what the times in the folder's files name, where they do not tell.
func labelOf(u *url.URL) (hhfile.Label, error) {
	switch l := u.Query().Get("label"); {
	case u.RawQuery == "":
		return hhfile.Auto, nil
	case u.RawQuery == "label=start":
		return hhfile.Start, nil
	case u.RawQuery == "label=end":
		return hhfile.End, nil
	default:
		return 0, fmt.Errorf("url %s: label %q: write ?label=start or ?label=end: what the times in the files name of their half-hours", u, l)
	}
}

func openFolder(c Config) (drivers.Listener, error) {
	if len(c.URLs) != 1 {
		return nil, errors.New("a drop folder has one url")
	}
	u, err := url.Parse(c.URLs[0])
	if err != nil {
		return nil, err
	}
	label, err := labelOf(u)
	if err != nil {
		return nil, err
	}
	return &folder{counts: newCounts(len(c.Devices)), cfg: c, path: filepath.FromSlash(u.Path), label: label, err: errNotYet, seen: map[string]look{}}, nil
}

// Health says why the folder, or a file in it, cannot be used; nil where it can.
func (f *folder) Health() error {
	f.health.Lock()
	defer f.health.Unlock()
	return f.err
}

// Listen looks into the folder until ctx ends.
func (f *folder) Listen(ctx context.Context, deliver func(int, []drivers.Reading)) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		err := f.look(ctx, deliver)
		f.health.Lock()
		f.err = err
		f.health.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// look takes the files that have come to rest. What is wrong with one does not
// hold up the others.
func (f *folder) look(ctx context.Context, deliver func(int, []drivers.Reading)) error {
	for _, sub := range []string{"done", "bad"} {
		if err := os.MkdirAll(filepath.Join(f.path, sub), 0o750); err != nil {
			return fmt.Errorf("the drop folder cannot be used: %w", err)
		}
	}
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return fmt.Errorf("the drop folder cannot be read: %w", err)
	}
	now, seen := f.cfg.Now(), map[string]look{}
	var first error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || ignored(e.Name()) {
			continue
		}
		l, known := f.seen[e.Name()]
		if !known || l.size != info.Size() || !l.at.Equal(info.ModTime()) || now.Before(l.since) {
			l = look{info.Size(), info.ModTime(), now}
		}
		if now.Sub(l.since) < rest || ctx.Err() != nil {
			seen[e.Name()] = l
			continue
		}
		if err := f.file(e.Name(), info, deliver); err != nil {
			seen[e.Name()] = l // the next look tries it again
			if first == nil {
				first = err
			}
		}
	}
	f.seen = seen
	return first
}

func ignored(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, ".") || slices.ContainsFunc(unfinished, func(end string) bool { return strings.HasSuffix(name, end) })
}

// file takes one file. An error means that it could not be taken yet; a file
// that is no good goes to bad/.
func (f *folder) file(name string, info os.FileInfo, deliver func(int, []drivers.Reading)) error {
	path := filepath.Join(f.path, name)
	if info.Size() > MaxFile {
		return f.put(name, "bad", 0, []string{fmt.Sprintf("it is larger than %d MiB: cut it up", MaxFile>>20)})
	}
	// What cannot be stored now is not delivered either: the agent says no by
	// Settle alone.
	if err := f.cfg.Marks.Settle(); err != nil {
		return fmt.Errorf("%s: what it holds cannot be stored yet: %w", name, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("a file in the drop folder cannot be read: %w", err)
	}
	if after, err := os.Stat(path); err != nil || after.Size() != int64(len(data)) || !after.ModTime().Equal(info.ModTime()) {
		return fmt.Errorf("%s: it changed while it was read: it is taken later", name)
	}
	parsed, ok, err := parseN3rgy(data, f.cfg.Now())
	if !ok {
		parsed, err = hhfile.Parse(data, hhfile.Options{Label: f.label, Now: f.cfg.Now()})
	}
	if err != nil {
		return f.put(name, "bad", 0, []string{err.Error()})
	}
	spoken := map[int]bool{}
	taken, ids, err := f.take(parsed, func(i int, r []drivers.Reading) {
		spoken[i] = true
		deliver(i, r)
	})
	if err == nil {
		err = f.cfg.Marks.Settle()
	}
	if err != nil {
		return fmt.Errorf("%s: what it holds cannot be stored yet: %w", name, err)
	}
	var notes []string
	for _, p := range parsed.Problems {
		notes = append(notes, p.String())
	}
	if n := substitutes(parsed); n > 0 {
		notes = append(notes, fmt.Sprintf("%d half-hours are substitutes, and no values: left out", n))
	}
	if taken == 0 {
		return f.put(name, "bad", 0, append([]string{"no half-hour of a configured meter and measure is in it: it holds " + listed(ids)}, notes...))
	}
	if err := f.put(name, "done", taken, notes); err != nil {
		return err
	}
	for i := range spoken {
		f.tallies[i].Heard(len(data))
	}
	f.gave(f.cfg.Now(), func(c *drivers.FeedCounts) { c.FilesDone++ })
	f.with(func(w *drivers.Wire) { w.Traffic = w.Add(drivers.Traffic{Requests: 1, BytesIn: uint64(len(data))}) })
	return nil
}

// take delivers what a file holds. An error means that it could not be stored.
func (f *folder) take(file *hhfile.File, deliver func(int, []drivers.Reading)) (taken int, ids map[string]bool, err error) {
	ids = map[string]bool{}
	for _, s := range file.Series {
		ids[s.ID] = true
	}
	for _, s := range file.Series {
		i := slices.IndexFunc(f.cfg.Devices, func(d Device) bool { return d.Name == s.ID })
		if i < 0 && len(f.cfg.Devices) == 1 && len(ids) == 1 { // mutate: of one device the index is 0 either way
			i = 0
		}
		if i < 0 {
			continue
		}
		point := slices.Index(f.cfg.Devices[i].Measures, s.Measure)
		if point < 0 {
			continue
		}
		readings := make([]drivers.Reading, 0, min(len(s.HalfHours), atOnce))
		for _, h := range s.HalfHours {
			if h.Quality <= energy.Substituted {
				continue // what somebody put in the place of a value is none
			}
			readings = append(readings, drivers.Reading{
				Point: point, Interval: energy.Period, Estimated: h.Quality < energy.Measured,
				Sample: energy.Sample{At: h.Start.Add(energy.Period), Value: h.Energy},
			})
			taken++
			if len(readings) == atOnce {
				deliver(i, readings)
				if err := f.cfg.Marks.Settle(); err != nil {
					return taken, ids, err
				}
				readings = readings[:0]
			}
		}
		if len(readings) > 0 {
			deliver(i, readings)
		}
	}
	return taken, ids, nil
}

func substitutes(file *hhfile.File) (n int) {
	for _, s := range file.Series {
		for _, h := range s.HalfHours {
			if h.Quality == energy.Substituted {
				n++
			}
		}
	}
	return n
}

func listed(ids map[string]bool) string {
	var out []string
	for id := range ids {
		out = append(out, id)
	}
	slices.Sort(out)
	if len(out) == 0 {
		return "no meter at all"
	}
	if len(out) > 20 {
		out = append(out[:20], fmt.Sprintf("and %d more", len(ids)-20))
	}
	return strings.Join(out, ", ")
}
