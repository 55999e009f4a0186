package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// ensure creates the store where there is none.
func ensure(path string, report *Report) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return errors.New("it is a folder: name a file")
	case err == nil && !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	created, err := create(path)
	report.Created = report.Created || created
	if err != nil && isFull(err) {
		return fmt.Errorf("%w (%v): free some space", ErrFull, err)
	}
	return err
}

// create makes a clean store so that a power cut at any point leaves either
// none or a whole one: bbolt's own initialisation can be torn (etcd #16596),
// so it happens under another name. It reports false when another process was
// faster.
func create(path string) (created bool, err error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return false, err
	}
	sweep(path)
	_ = os.Remove(path + noteSuffix) // it was about another file
	f, err := os.CreateTemp(folder, filepath.Base(path)+newSuffix+"*")
	if err != nil {
		return false, err
	}
	temp := f.Name()
	defer os.Remove(temp)
	if err := f.Close(); err != nil {
		return false, err
	}
	if err := initialise(temp); err != nil {
		return false, err
	}
	// A link never takes the place of a file that another process has put
	// there since; a rename would. Not every file system has links.
	if err := os.Link(temp, path); errors.Is(err, fs.ErrExist) {
		return false, nil
	} else if err != nil {
		if err := os.Rename(temp, path); err != nil {
			return false, err
		}
	}
	return true, syncFolder(folder)
}

func initialise(temp string) error {
	db, err := bolt.Open(temp, 0o600, &bolt.Options{Timeout: lockWait})
	if err != nil {
		return err
	}
	db.AllocSize = allocate
	if err := errors.Join(db.Update(prepare), db.Sync()); err != nil {
		return errors.Join(err, db.Close())
	}
	return db.Close()
}

const newSuffix = ".new-"

// sweep removes what a creation that was cut off left behind, an hour after.
func sweep(path string) {
	left, _ := filepath.Glob(path + newSuffix + "*")
	for _, name := range left {
		if info, err := os.Stat(name); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(name)
		}
	}
}
