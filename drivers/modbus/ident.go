package modbus

import (
	"context"
	"errors"
	"strings"
)

// Identification is what a device says of itself when asked by function
// 2B/0E (Modbus application protocol 1.1b3, section 6.21). Many meters do not
// know that function; what a device leaves out is "".
type Identification struct {
	Vendor, Product, Revision     string // basic: the product is its code
	URL, Name, Model, Application string // regular
}

// String gives vendor, name or product, and revision in one line.
func (i Identification) String() string {
	name := i.Name
	for _, s := range []string{i.Model, i.Product} {
		if name == "" {
			name = s
		}
	}
	return strings.Join(strings.Fields(i.Vendor+" "+name+" "+i.Revision), " ")
}

func (i *Identification) set(object byte, text string) {
	fields := []*string{&i.Vendor, &i.Product, &i.Revision, &i.URL, &i.Name, &i.Model, &i.Application}
	if int(object) < len(fields) {
		*fields[object] = text
	}
}

// Identification asks a device who it is. A device that does not know the
// question says so (drivers.Exception), or says nothing (drivers.Timeout). It
// is for the goroutine that owns the bus, as Poll is.
func (b *Bus) Identification(ctx context.Context, i int) (Identification, error) {
	var id Identification
	d := &b.devices[i]
	if err := b.connect(ctx); err != nil {
		return id, err
	}
	if err := b.client.SetUnitId(d.unit); err != nil {
		return id, err
	}
	b.client.begin()
	b.counts.to = &d.tally
	conformity, err := b.objects(ctx, &id, basic, 0)
	if err == nil && conformity >= regular {
		_, err = b.objects(ctx, &id, regular, 3)
		if isException(err) {
			err = nil // it promised more than it has
		}
	}
	if err == nil {
		err = b.client.believed(ctx)
	}
	if err != nil {
		return Identification{}, err
	}
	return id, nil
}

// What is asked for, and a device's conformity without its top bit.
const (
	basic   = 1
	regular = 2
)

// maxPages bounds the answers to one question: seven objects fit into fewer.
const maxPages = 8

// objects reads all objects of a category from one on.
func (b *Bus) objects(ctx context.Context, id *Identification, category, from byte) (conformity byte, err error) {
	for range maxPages {
		if err := b.pause(ctx); err != nil {
			return 0, err
		}
		b.asked = true
		data, err := b.client.(encapsulator).encapsulated([]byte{0x0E, category, from})
		if err == nil {
			var p page
			if p, err = parseIdentification(data, category, id); err == nil {
				if p.last || p.next <= from {
					return p.conformity, nil
				}
				from = p.next
				continue
			}
		}
		if !isException(err) && (b.target.scheme != "rtu" || errors.Is(err, errUnplugged)) {
			b.Close()
		}
		return 0, b.explain("ask for the identification", err)
	}
	return 0, b.explain("ask for the identification", errIdentification)
}

// encapsulator is a client that can put function 2B.
type encapsulator interface {
	encapsulated(data []byte) ([]byte, error)
}

var errIdentification = errors.New("the answer is not an identification")

// page is one answer of several.
type page struct {
	conformity, next byte
	last             bool
}

// parseIdentification reads an answer to 2B/0E, behind its function.
func parseIdentification(data []byte, category byte, id *Identification) (page, error) {
	if len(data) < 6 || data[0] != 0x0E || data[1] != category {
		return page{}, errIdentification
	}
	p := page{conformity: data[2] & 0x7F, last: data[3] != 0xFF, next: data[4]}
	rest := data[6:]
	for range data[5] {
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return page{}, errIdentification
		}
		n := 2 + int(rest[1])
		id.set(rest[0], printable(rest[2:n]))
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return page{}, errIdentification
	}
	return p, nil
}

// printable gives the text that a person can read in it.
func printable(b []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b)))
}
