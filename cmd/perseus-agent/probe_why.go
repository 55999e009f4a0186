package main

import (
	"github.com/perseus-edge/perseus-edge/agent"
	"github.com/perseus-edge/perseus-edge/drivers"
	"github.com/perseus-edge/perseus-edge/drivers/modbus"
)

// maker is what a meter says of itself when it is asked for its identification
// (Modbus function 2B/0E); what it leaves out is "".
type maker struct {
	Vendor   string `json:"vendor,omitempty"`
	Product  string `json:"product,omitempty"` // its code
	Revision string `json:"revision,omitempty"`
	Name     string `json:"name,omitempty"`
	Model    string `json:"model,omitempty"`
	Says     string `json:"says"` // in one line
}

// introduced notes what a meter says of itself. Most meters do not know the
// question: that is no fault.
func (pt *patient) introduced(id modbus.Identification, err error) {
	if err != nil || id.String() == "" {
		return
	}
	m := &maker{id.Vendor, id.Product, id.Revision, id.Name, id.Model, id.String()}
	for i := range pt.rows {
		pt.rows[i].Maker = m
	}
}

// reasons says why what was not read was not, in the words of the status: how
// the other meters of the bus do belongs to it.
func reasons(patients []*patient) {
	var n agent.Neighbours
	for _, pt := range patients {
		if pt.answers() {
			n.Read++
		} else {
			n.Silent++
		}
	}
	for _, pt := range patients {
		others := n
		if others.Silent--; pt.answers() {
			others = agent.Neighbours{}
		}
		for i, r := range pt.first {
			switch {
			case r.Err == errNotRead:
				pt.rows[i].Why = agent.Why(pt.err, others)
			case r.Err != nil:
				pt.rows[i].Why = agent.Why(r.Err, others)
			}
		}
	}
}

// because is a reason in one line; what was said before where there is none.
func because(r *drivers.Reason, otherwise string) string {
	switch {
	case r == nil:
		return otherwise
	case r.Hint == "":
		return r.Says
	}
	return r.Says + ". What to try: " + r.Hint
}
