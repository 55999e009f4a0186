package web

import (
	"encoding/json"
	"io"
	"iter"
	"net/http"
)

// stream writes {"data":[..]}, a row a line, as the rows come: a year of
// half-hours must not stand in memory. Once the first row is out an error can
// only cut the answer short, so that it is not taken for a whole one.
func stream[T any](s *server, w http.ResponseWriter, what string, rows iter.Seq2[T, error]) {
	w.Header().Set("Content-Type", "application/json")
	begun := false
	err := WriteJSON(writerFunc(func(b []byte) (int, error) { begun = true; return w.Write(b) }), rows)
	if err == nil {
		return
	}
	s.log.Error(what+" cannot be read", "error", err)
	if !begun {
		fail(w, http.StatusInternalServerError, "server_error", "the store cannot be read: see the agent's log")
		return
	}
	panic(http.ErrAbortHandler)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// WriteJSON writes rows as {"data":[..]}, a row a line, as they come. Nothing
// is written before the first row is there.
func WriteJSON[T any](w io.Writer, rows iter.Seq2[T, error]) error {
	sep := `{"data":[` + "\n"
	for x, err := range rows {
		if err != nil {
			return err
		}
		b, err := line(x)
		if err != nil {
			return err
		}
		if _, err := w.Write(append([]byte(sep), b...)); err != nil {
			return err
		}
		sep = ",\n"
	}
	if sep[0] != '{' {
		sep = ""
	}
	_, err := io.WriteString(w, sep+"\n]}\n")
	return err
}

// line is a row's JSON.
func line(x any) ([]byte, error) {
	if r, ok := x.(Record); ok {
		return r.line()
	}
	return json.Marshal(x)
}
