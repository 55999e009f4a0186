package simulation

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
)

// files is what the store's two files hold.
type files struct {
	db, checkpoint []byte // no checkpoint file where that is nil
}

const checkpointSuffix = ".checkpoint"

func filesAt(path string) (*files, error) {
	f := &files{}
	var err error
	if f.db, err = os.ReadFile(path); err != nil {
		return nil, err
	}
	f.checkpoint, err = os.ReadFile(path + checkpointSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	return f, err
}

func (f *files) restore(path string) error {
	if err := os.WriteFile(path, f.db, 0o600); err != nil {
		return err
	}
	if f.checkpoint == nil {
		if err := os.Remove(path + checkpointSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return os.WriteFile(path+checkpointSuffix, f.checkpoint, 0o600)
}

// tearBoth gives what the files can hold when the power goes within one call.
// The store writes the checkpoint first and waits until it is on the disk. So
// either a part of that is there and nothing of the other file, or all of it
// and a part of the other.
func tearBoth(before, after *files, noise chance) *files {
	paper, db := !bytes.Equal(before.checkpoint, after.checkpoint), !bytes.Equal(before.db, after.db)
	if paper && (!db || noise.n(101, 2) == 0) {
		return &files{before.db, tearSlot(before.checkpoint, after.checkpoint, noise)}
	}
	return &files{tear(before.db, after.db, noise), after.checkpoint}
}

// tearSlot gives what the checkpoint file can hold: the first bytes of what was
// written, or some sectors of it, in any order. One that was made larger takes
// the other's place whole or not at all.
func tearSlot(before, after []byte, noise chance) []byte {
	if len(before) != len(after) {
		if noise.n(102, 2) == 0 {
			return before
		}
		return after
	}
	out := bytes.Clone(before)
	if noise.n(103, 2) == 0 {
		first := 0
		for first < len(after) && before[first] == after[first] {
			first++
		}
		n := first + int(noise.n(104, page))
		copy(out[:min(n, len(out))], after)
		return out
	}
	for at := 0; at+sector <= len(after); at += sector {
		if noise.n(int64(1000+at), 2) == 0 {
			copy(out[at:at+sector], after[at:])
		}
	}
	return out
}

// spoil gives what became of a checkpoint file that a dying card, or a person,
// had their hands on; before is an older one.
func spoil(now, before []byte, noise chance) []byte {
	out := bytes.Clone(now)
	switch noise.n(201, 6) {
	case 0:
		return nil
	case 1:
		return before
	case 2:
		return out[:int(noise.n(202, int64(len(out)+1)))]
	case 3:
		clear(out)
	case 4:
		for i := range out {
			out[i] = byte(noise.n(int64(2000+i), 256))
		}
	default:
		for i := range out[:min(len(out), 20)] {
			out[noise.n(int64(3000+i), int64(len(out)))] ^= 1 << noise.n(int64(4000+i), 8)
		}
	}
	return out
}

const (
	page   = 4096 // of bbolt
	sector = 512  // what a disk writes whole
)

// tear gives what a file can hold when the power goes within one transaction
// of bbolt. It writes the changed pages, waits until they are on the disk, and
// then one of the two meta pages. So either some sectors of the changed pages
// are there, in any order, and no meta page; or all of them and part of it.
func tear(before, after []byte, noise chance) []byte {
	out := append([]byte(nil), before...)
	if len(after) > len(out) { // the file grows before anything is written
		out = append(out, make([]byte, len(after)-len(out))...)
	}
	all := noise.n(0, 2) == 0
	for at := 2 * page; at+sector <= len(after); at += sector {
		if all || noise.n(int64(at), 2) == 0 {
			copy(out[at:at+sector], after[at:])
		}
	}
	if all {
		for meta := range 2 {
			n := noise.n(int64(meta)+1, 100) // a meta page is 80 bytes: cut anywhere in it, or not at all
			copy(out[meta*page:meta*page+int(n)], after[meta*page:])
		}
	}
	return out
}
