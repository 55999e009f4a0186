package store

import (
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// LetGo gives up the pages of the file that were read through the mapping: they
// count as the program's memory for as long as it runs, and with a store of
// years that is all of it. They stay in the system's cache, and come back from
// there when they are read again. It is safe beside everything else.
func (s *Store) LetGo() {
	// Within a transaction the mapping stays where it is. It is shared and only
	// read, so that nothing can be lost; where the advice fails, nothing is gained.
	_ = s.view("letting go of pages", func(tx *bolt.Tx) error {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED)
		return nil
	})
}
