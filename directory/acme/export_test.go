package acme

// Paths are the addresses that the server has, below its own.
func Paths() (out []string) {
	for _, r := range new(Server).routes() {
		out = append(out, r.path)
	}
	return out
}
