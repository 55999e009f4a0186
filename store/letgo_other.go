//go:build !linux

package store

// LetGo does nothing: only Linux is told which pages are not needed.
func (s *Store) LetGo() {}
