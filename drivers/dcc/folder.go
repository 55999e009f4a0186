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
// as energy/hhfile knows them. A file is taken once it has not changed between
// two looks, and goes to done/ then, or to bad/ with a note beside it that says
// why. A device's Name is the MPAN or meter id in the file; where a folder has
// one device and a file one meter, the name need not match.
type folder struct {
	cfg  Config
	path string

	mu   sync.Mutex
	err  error
	seen map[string]look // files that may still be written to
}

// look is a file as it was at the last look.
type look struct {
	size int64
	at   time.Time
}

// The pace and bounds of a drop folder.
const (
	lookEvery = 10 * time.Second
	// MaxFile bounds one file: 32 MiB, a hundred meters for a year.
	MaxFile = 32 << 20
	atOnce  = 2000 // half-hours that are delivered before they are stored
)

func checkFolder(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "file" || u.Host != "" || !strings.HasPrefix(u.Path, "/") {
		return fmt.Errorf("url %q: write the folder as file:///var/lib/perseus-edge/drop", s)
	}
	return nil
}

func openFolder(c Config) (drivers.Listener, error) {
	if len(c.URLs) != 1 {
		return nil, errors.New("a drop folder has one url")
	}
	u, err := url.Parse(c.URLs[0])
	if err != nil {
		return nil, err
	}
	return &folder{cfg: c, path: filepath.FromSlash(u.Path), seen: map[string]look{}}, nil
}

// Health says why the folder cannot be used; nil where it can.
func (f *folder) Health() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Listen looks into the folder until ctx ends.
func (f *folder) Listen(ctx context.Context, deliver func(int, []drivers.Reading)) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		err := f.look(deliver)
		f.mu.Lock()
		f.err = err
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// look takes the files that have come to rest.
func (f *folder) look(deliver func(int, []drivers.Reading)) error {
	for _, sub := range []string{"done", "bad"} {
		if err := os.MkdirAll(filepath.Join(f.path, sub), 0o750); err != nil {
			return fmt.Errorf("the drop folder cannot be used: %w", err)
		}
	}
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return fmt.Errorf("the drop folder cannot be read: %w", err)
	}
	now := map[string]look{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		l := look{info.Size(), info.ModTime()}
		if f.seen[e.Name()] != l {
			now[e.Name()] = l // it may still be written to
			continue
		}
		if err := f.file(e.Name(), info.Size(), deliver); err != nil {
			return err
		}
	}
	f.seen = now
	return nil
}

// file takes one file. An error means that the folder cannot be used; a file
// that is no good goes to bad/.
func (f *folder) file(name string, size int64, deliver func(int, []drivers.Reading)) error {
	path := filepath.Join(f.path, name)
	taken, reason := 0, error(nil)
	if size > MaxFile {
		reason = fmt.Errorf("it is larger than %d MiB: cut it up", MaxFile>>20)
	} else if data, err := os.ReadFile(path); err != nil {
		return fmt.Errorf("a file in the drop folder cannot be read: %w", err)
	} else {
		taken, reason = f.take(data, deliver)
		if err := f.cfg.Marks.Settle(); err != nil {
			return fmt.Errorf("what a file held cannot be stored yet: %w", err)
		}
	}
	sub := "done"
	if reason != nil {
		sub = "bad"
		note := filepath.Join(f.path, sub, name+".reason")
		if err := os.WriteFile(note, []byte(reason.Error()+"\n"), 0o640); err != nil {
			return fmt.Errorf("the reason why a file is no good cannot be kept: %w", err)
		}
		f.cfg.Logger.Warn("a file in the drop folder is no good", "file", name, "reason", reason)
	} else {
		f.cfg.Logger.Info("a file was taken from the drop folder", "file", name, "half_hours", taken)
	}
	if err := os.Rename(path, filepath.Join(f.path, sub, f.cfg.Now().UTC().Format("20060102T150405Z-")+name)); err != nil {
		return fmt.Errorf("a file cannot be put away: %w", err)
	}
	return nil
}

// take delivers what a file holds.
func (f *folder) take(data []byte, deliver func(int, []drivers.Reading)) (taken int, err error) {
	file, err := hhfile.Parse(data, hhfile.Options{Now: f.cfg.Now()})
	if err != nil {
		return 0, err
	}
	ids := map[string]bool{}
	for _, s := range file.Series {
		ids[s.ID] = true
	}
	for _, s := range file.Series {
		i := slices.IndexFunc(f.cfg.Devices, func(d Device) bool { return d.Name == s.ID })
		if i < 0 && len(f.cfg.Devices) == 1 && len(ids) == 1 {
			i = 0
		}
		if i < 0 {
			continue
		}
		point := slices.Index(f.cfg.Devices[i].Measures, s.Measure)
		if point < 0 {
			continue
		}
		readings := make([]drivers.Reading, 0, len(s.HalfHours))
		for _, h := range s.HalfHours {
			if h.Quality == energy.Missing {
				continue
			}
			readings = append(readings, drivers.Reading{
				Point: point, Interval: energy.Period, Estimated: h.Quality <= energy.Estimated,
				Sample: energy.Sample{At: h.Start.Add(energy.Period), Value: h.Energy},
			})
			taken++
			if len(readings) == atOnce {
				deliver(i, readings)
				if err := f.cfg.Marks.Settle(); err != nil {
					return taken, nil // the file stays, and is taken again
				}
				readings = readings[:0]
			}
		}
		deliver(i, readings)
	}
	if taken == 0 {
		return 0, fmt.Errorf("no half-hour of a configured meter is in it: it holds %s", listed(ids))
	}
	return taken, nil
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
