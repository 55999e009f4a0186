// Package sparkplug reads Sparkplug B (Eclipse Sparkplug 3.0): the protobuf
// payload, and the sessions of edge nodes, in which a birth says what the
// later messages mean. It is pure: bytes in, values out.
package sparkplug

import (
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limit bounds a payload, also an unpacked one.
const Limit = 1 << 20

// deepest is how far templates may stand within templates.
const deepest = 4

// Payload is one message.
type Payload struct {
	At      time.Time // when it was sent; zero where it does not say
	Seq     int       // 0 to 255; -1 where there is none (NDEATH, NCMD)
	Metrics []Metric
	uuid    string
	body    []byte
}

// Metric is one metric as it stands in a message: in data often an alias and
// a value alone.
type Metric struct {
	Name       string
	Alias      uint64
	HasAlias   bool
	At         time.Time
	Type       Type // 0 where the message does not say
	Historical bool
	Null       bool
	Quality    int64  // of property Quality; 192 (good) where there is none
	Unit       string // of property engUnit
	bits       uint64
	text       string
	field      field
	nested     []Metric // of a template
}

// Type is Sparkplug's data type.
type Type uint32

// The types.
const (
	Int8     Type = 1
	Int16    Type = 2
	Int32    Type = 3
	Int64    Type = 4
	UInt8    Type = 5
	UInt16   Type = 6
	UInt32   Type = 7
	UInt64   Type = 8
	Float    Type = 9
	Double   Type = 10
	Boolean  Type = 11
	String   Type = 12
	DateTime Type = 13
	Text     Type = 14
	Template Type = 19
)

// field is which of the value's fields a metric has; the numbers are the
// protobuf's.
type field uint8

const (
	noField       field = 0
	intField      field = 10
	longField     field = 11
	floatField    field = 12
	doubleField   field = 13
	booleanField  field = 14
	stringField   field = 15
	bytesField    field = 16
	dataSetField  field = 17
	templateField field = 18
)

// The qualities that the specification has.
const (
	Bad   = 0
	Good  = 192
	Stale = 500
)

var (
	errLong  = errors.New("the payload is too long")
	errJSON  = errors.New("it is JSON, not Sparkplug's protobuf (IOTech's XRT sends such on this prefix): use format json")
	errDepth = errors.New("templates stand too deep within one another")
)

// Parse reads a payload.
func Parse(b []byte) (Payload, error) {
	p, err := parse(b)
	if err != nil {
		return Payload{}, fmt.Errorf("sparkplug payload: %w", err)
	}
	if p.uuid != packed {
		return p, nil
	}
	plain, err := unpack(p)
	if err != nil {
		return Payload{}, fmt.Errorf("sparkplug payload: %w", err)
	}
	inner, err := parse(plain)
	if err != nil {
		return Payload{}, fmt.Errorf("sparkplug payload, unpacked: %w", err)
	}
	if inner.Seq < 0 {
		inner.Seq = p.Seq
	}
	if inner.At.IsZero() {
		inner.At = p.At
	}
	return inner, nil
}

func parse(b []byte) (Payload, error) {
	p := Payload{Seq: -1}
	switch {
	case len(b) > Limit:
		return p, errLong
	case len(b) > 0 && b[0] == '{':
		return p, errJSON
	}
	err := fields(b, func(n protowire.Number, v part) error {
		switch {
		case n == 1 && v.varint():
			p.At = millis(v.bits)
		case n == 2 && v.bytes():
			m, err := parseMetric(v.data, 0)
			p.Metrics = append(p.Metrics, m)
			return err
		case n == 3 && v.varint():
			if v.bits > 255 {
				return fmt.Errorf("seq %d is beyond 255", v.bits)
			}
			p.Seq = int(v.bits)
		case n == 4 && v.bytes():
			p.uuid = string(v.data)
		case n == 5 && v.bytes():
			p.body = v.data
		}
		return nil
	})
	return p, err
}

// part is the content of one field.
type part struct {
	kind protowire.Type
	bits uint64
	data []byte
}

func (v part) varint() bool { return v.kind == protowire.VarintType }
func (v part) bytes() bool  { return v.kind == protowire.BytesType }

// fields calls f for each field of a message, in their order.
func fields(b []byte, f func(protowire.Number, part) error) error {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		v := part{kind: kind}
		switch kind {
		case protowire.VarintType:
			v.bits, size = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var x uint32
			x, size = protowire.ConsumeFixed32(b)
			v.bits = uint64(x)
		case protowire.Fixed64Type:
			v.bits, size = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			v.data, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, kind, b)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if err := f(n, v); err != nil {
			return err
		}
	}
	return nil
}

func parseMetric(b []byte, depth int) (Metric, error) {
	m := Metric{Quality: Good}
	if depth > deepest {
		return m, errDepth
	}
	err := fields(b, func(n protowire.Number, v part) error {
		switch {
		case n == 1 && v.bytes():
			m.Name = string(v.data)
		case n == 2 && v.varint():
			m.Alias, m.HasAlias = v.bits, true
		case n == 3 && v.varint():
			m.At = millis(v.bits)
		case n == 4 && v.varint():
			m.Type = Type(min(v.bits, math.MaxUint32))
		case n == 5 && v.varint():
			m.Historical = v.bits != 0
		case n == 7 && v.varint():
			m.Null = v.bits != 0
		case n == 9 && v.bytes():
			return m.properties(v.data)
		case n == 10 && v.varint():
			m.field, m.bits = intField, v.bits&math.MaxUint32
		case n == 11 && v.varint():
			m.field, m.bits = longField, v.bits
		case n == 12 && v.kind == protowire.Fixed32Type:
			m.field, m.bits = floatField, v.bits
		case n == 13 && v.kind == protowire.Fixed64Type:
			m.field, m.bits = doubleField, v.bits
		case n == 14 && v.varint():
			m.field, m.bits = booleanField, v.bits
		case n == 15 && v.bytes():
			m.field, m.text = stringField, string(v.data)
		case n == 16:
			m.field = bytesField
		case n == 17:
			m.field = dataSetField
		case n == 18 && v.bytes():
			m.field = templateField
			return fields(v.data, func(n protowire.Number, v part) error {
				if n != 2 || !v.bytes() {
					return nil
				}
				inner, err := parseMetric(v.data, depth+1)
				m.nested = append(m.nested, inner)
				return err
			})
		}
		return nil
	})
	return m, err
}

func millis(ms uint64) time.Time {
	if ms == 0 || ms > math.MaxInt64/1000 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
