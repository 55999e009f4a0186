package directory

// Endpoints lists what Handler answers, "METHOD /path" with the wildcards of
// http.ServeMux, for the table of who may do what (docs/access.md).
func (s *Service) Endpoints() (out []string) {
	for _, r := range s.routes() {
		out = append(out, r.method+" "+r.path)
	}
	return append(out, s.acme.Endpoints()...)
}
