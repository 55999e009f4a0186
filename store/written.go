package store

import (
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
)

// Written is what this Store has asked the disk to do since it was opened: what
// wears out an SD card.
type Written struct {
	Commits     uint64 // durable transactions of bbolt
	Checkpoints uint64 // durable rounds beside it
	Syncs       uint64 // fsyncs: two a commit, one a checkpoint, and one each time that a file grows
	Bytes       uint64 // handed to the disk, in whole pages
}

type counters struct {
	commits, checkpoints, syncs, bytes atomic.Uint64
	size                               int64 // of the file; guarded by Store.write
}

// Written counts what this Store has written. The disk itself may write more:
// its blocks are larger than a page.
func (s *Store) Written() Written {
	return Written{Commits: s.written.commits.Load(), Checkpoints: s.written.checkpoints.Load(), Syncs: s.written.syncs.Load(), Bytes: s.written.bytes.Load()}
}

// count adds a commit. bbolt writes every page that the transaction allocated
// and syncs them, then writes and syncs one meta page; before that it syncs a
// file that it made larger. The caller holds s.write.
func (s *Store) count(tx *bolt.Tx) {
	c, stats := &s.written, tx.Stats()
	c.commits.Add(1)
	c.syncs.Add(2)
	c.bytes.Add(uint64(stats.GetPageAlloc()) + uint64(s.db.Info().PageSize))
	if info, err := s.file.Stat(); err == nil && info.Size() != c.size {
		c.syncs.Add(1)
		c.size = info.Size()
	}
}

// countCheckpoint adds a checkpoint. The caller holds s.write.
func (s *Store) countCheckpoint() {
	c, f := &s.written, &s.since.file
	c.checkpoints.Add(1)
	c.syncs.Add(f.syncs)
	c.bytes.Add(f.bytes)
}
