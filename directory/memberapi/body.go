package memberapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/perseus-edge/perseus-edge/directory/answer"
	"github.com/perseus-edge/perseus-edge/directory/fault"
	"github.com/perseus-edge/perseus-edge/directory/form"
)

// readStrict is answer.ReadJSON for members and administrators, who are told of every
// mistake: an unknown key, a key that comes twice, a wrong type.
func readStrict(r *http.Request, v any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err := answer.ReadJSON(r, new(json.RawMessage)); err != nil {
		return err // media type, syntax, more than one value
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return fault.Invalid("the body is not a JSON object")
	}
	if err := once(json.NewDecoder(bytes.NewReader(body))); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
			return fault.Invalid("%s: a %s is not what this key takes", wrong.Field, wrong.Value)
		}
		if errors.Is(err, fault.ErrInvalid) {
			return err
		}
		return fault.Invalid("%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// once reads the next JSON value, and refuses an object that has a key twice:
// readers differ in which of the two they take. Case makes no difference, as it
// makes none to our decoder.
func once(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return fault.Invalid("the body is not JSON")
	}
	open, _ := t.(json.Delim)
	seen := map[string]bool{}
	for (open == '{' || open == '[') && d.More() {
		if open == '{' {
			t, err := d.Token()
			if err != nil {
				return fault.Invalid("the body is not JSON")
			}
			name, _ := t.(string)
			key := strings.ToLower(name)
			if seen[key] {
				return fault.Invalid("key %q comes twice", form.Cut(name, 80))
			}
			seen[key] = true
		}
		if err := once(d); err != nil {
			return err
		}
	}
	if open == '{' || open == '[' {
		_, err = d.Token()
	}
	return err
}

// given is a key of a merge patch (RFC 7396): absent leaves what is there,
// null empties it.
type given[T any] struct {
	set, null bool
	value     T
}

// UnmarshalJSON notes that the key was there.
func (g *given[T]) UnmarshalJSON(b []byte) error {
	*g = given[T]{set: true, null: string(b) == "null"}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields() // the outer decoder's word does not reach here
	err := d.Decode(&g.value)
	if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
		return fault.Invalid("a %s stands where %s belongs", wrong.Value, kinds[wrong.Type.Kind()])
	}
	return err
}

// kinds name JSON types as their readers know them.
var kinds = map[reflect.Kind]string{reflect.String: "a text", reflect.Slice: "a list of texts", reflect.Struct: "an object"}

// to changes what is there.
func (g given[T]) to(field *T) {
	if g.set {
		*field = g.value
	}
}
