package store

// fillRole has no way to make a small disk without rights on Windows.
func fillRole(string) int { return 1 }
