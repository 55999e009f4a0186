package sparkplug

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Rebirth is the payload of an NCMD that asks an edge node for its births.
func Rebirth(now time.Time) []byte {
	ms := uint64(max(now.UnixMilli(), 0))
	var m []byte
	m = protowire.AppendString(protowire.AppendTag(m, 1, protowire.BytesType), "Node Control/Rebirth")
	m = protowire.AppendVarint(protowire.AppendTag(m, 3, protowire.VarintType), ms)
	m = protowire.AppendVarint(protowire.AppendTag(m, 4, protowire.VarintType), uint64(Boolean))
	m = protowire.AppendVarint(protowire.AppendTag(m, 14, protowire.VarintType), 1)
	var b []byte
	b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), ms)
	return protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), m)
}
