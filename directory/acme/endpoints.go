package acme

// Endpoints lists what Handler answers, "METHOD /path" with the wildcards of
// http.ServeMux, for the table of who may do what (docs/access.md).
func (s *Server) Endpoints() (out []string) {
	for _, r := range s.routes() {
		if r.plain != nil {
			out = append(out, "GET "+s.prefix+r.path)
		}
		if r.signed != nil {
			out = append(out, "POST "+s.prefix+r.path)
		}
	}
	return out
}
