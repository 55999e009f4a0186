package dcc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/perseus-edge/perseus-edge/drivers"
)

// put moves a file to done/ or bad/, under a name that no other has, with what
// is to be said about it beside it: why it is bad, or what was left out of it.
func (f *folder) put(name, sub string, taken int, notes []string) error {
	to, err := f.free(sub, name)
	if err != nil {
		return err
	}
	// The note first: whoever sees the file finds it. After a crash in between
	// it lies there alone, and the file gets another.
	if len(notes) > 0 {
		ending := map[string]string{"bad": ".reason", "done": ".notes"}[sub]
		if err := os.WriteFile(to+ending, []byte(strings.Join(notes, "\n")+"\n"), 0o640); err != nil {
			return fmt.Errorf("what is to be said about a file cannot be kept: %w", err)
		}
	}
	if err := os.Rename(filepath.Join(f.path, name), to); err != nil {
		return fmt.Errorf("a file cannot be put away: %w", err)
	}
	switch {
	case sub == "bad":
		f.with(func(w *drivers.Wire) {
			if w.Feed == nil {
				w.Feed = &drivers.FeedCounts{}
			}
			w.Feed.FilesBad++
		})
		f.cfg.Logger.Warn("a file in the drop folder is no good", "file", name, "reason", notes[0])
	case len(notes) > 0:
		f.cfg.Logger.Info("a file was taken from the drop folder", "file", name, "half_hours", taken, "problems", len(notes), "first", notes[0])
	default:
		f.cfg.Logger.Info("a file was taken from the drop folder", "file", name, "half_hours", taken)
	}
	return nil
}

// longestName leaves room for what is put around a name: file systems take 255 bytes.
const longestName = 200

// free finds a name for a file that is put away: the time, and a number where
// the same name came twice within a second.
func (f *folder) free(sub, name string) (string, error) {
	if len(name) > longestName {
		name = strings.ToValidUTF8(name[len(name)-longestName:], "")
	}
	stamp := f.cfg.Now().UTC().Format("20060102T150405Z")
	for n := 1; n < 10_000; n++ {
		to := filepath.Join(f.path, sub, stamp+"-"+name)
		if n > 1 {
			to = filepath.Join(f.path, sub, fmt.Sprintf("%s-%d-%s", stamp, n, name))
		}
		taken := false
		for _, ending := range []string{"", ".reason", ".notes"} {
			_, err := os.Lstat(to + ending)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("a file cannot be put away: %w", err)
			}
			taken = taken || err == nil
		}
		if !taken {
			return to, nil
		}
	}
	return "", fmt.Errorf("a file cannot be put away: too many of the name %s in %s", name, sub)
}
