package server

// Endpoints lists what Handler answers, "METHOD /path" with the wildcards of
// http.ServeMux, for the table of who may do what (docs/access.md).
func (s *Server) Endpoints() (out []string) {
	for _, r := range s.routes() {
		out = append(out, r.Method+" "+r.Path)
	}
	return append(out, s.acme.Endpoints()...)
}
