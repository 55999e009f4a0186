package web

// Endpoints lists what Handler answers, "METHOD /path" with the wildcards of
// http.ServeMux, for the table of who may do what (docs/access.md).
func (a *App) Endpoints() (out []string) {
	for _, r := range a.routes() {
		out = append(out, r.method+" "+Prefix+r.path)
	}
	return append(out, "GET "+Prefix, "GET "+Prefix+"/static/")
}
