package sparkplug

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"
)

// packed is the UUID by which Eclipse Tahu marks a payload whose body is
// another one, compressed.
const packed = "SPBV1.0_COMPRESSED"

var errBomb = errors.New("it unpacks to too much")

func unpack(p Payload) ([]byte, error) {
	algorithm := "DEFLATE"
	for _, m := range p.Metrics {
		if m.Name == "algorithm" {
			algorithm = strings.ToUpper(m.text)
		}
	}
	var r io.ReadCloser
	var err error
	switch algorithm {
	case "DEFLATE":
		r, err = zlib.NewReader(bytes.NewReader(p.body))
	case "GZIP":
		r, err = gzip.NewReader(bytes.NewReader(p.body))
	default:
		return nil, fmt.Errorf("compressed by %.20q, which is not known", algorithm)
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, Limit+1))
	if err == nil {
		err = r.Close()
	}
	if len(b) > Limit {
		err = errBomb
	}
	return b, err
}
