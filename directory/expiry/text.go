package expiry

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/perseus-edge/perseus-edge/directory/ca"
	"github.com/perseus-edge/perseus-edge/directory/form"
	"github.com/perseus-edge/perseus-edge/directory/notice"
)

// endingJSON is what a webhook is told.
type endingJSON struct {
	Event        string `json:"event"` // certificate.ending
	Kind         string `json:"kind"`  // client, signing, issuer, root, root-list
	Hierarchy    string `json:"hierarchy"`
	Serial       string `json:"serial,omitempty"` // decimal
	Holder       string `json:"holder"`
	HolderURL    string `json:"holderURL,omitempty"`
	Organisation string `json:"organisation,omitempty"`
	Member       string `json:"member,omitempty"` // URL
	Ends         string `json:"ends"`
	Threshold    int    `json:"threshold"` // days
}

// notice puts a warning into words, which a shop owner should understand.
func (s *Warner) notice(e ending) notice.Notice {
	data := endingJSON{"certificate.ending", e.kind, string(e.hierarchy), e.serial, e.holder, e.holderURL, e.organisation, "", form.RFC3339(e.at), e.days}
	if e.member != "" {
		data.Member = s.MemberURL(e.member)
	}
	moment := e.at.Format("2 January 2006 at 15:04 UTC")
	when := "on " + moment + ", " + left(e.at.Sub(s.Now()))
	n := notice.Notice{ID: e.subject + "/" + strconv.Itoa(e.days), At: s.Now(), Data: data}
	switch {
	case e.gateway != "":
		n.Subject = fmt.Sprintf("Gateway %s: its certificate ends %s", e.holder, left(e.at.Sub(s.Now())))
		n.Text = fmt.Sprintf("The gateway %q of %s has not renewed its %s certificate, which it should do by itself. It ends %s. From then on the gateway can send nothing.\n\n"+
			"What to do: see that the gateway is switched on and reaches the internet. If it does, it renews within the hour. If it stays like this, make a new code for it and enrol it again.\n", e.holder, e.organisation, e.kind, when)
	case e.member != "":
		n.Subject = fmt.Sprintf("%s: a certificate ends %s", e.holder, left(e.at.Sub(s.Now())))
		then := "others refuse its connections"
		if e.hierarchy == ca.Signing {
			then = "others refuse what it signs; what it signed before stays good"
		}
		n.Text = fmt.Sprintf("The %s certificate of the application %q of %s ends %s. From then on %s.\n\n"+
			"What to do: whoever runs the application makes a new key and a certificate request, and gets a new certificate for it from the directory. When the new one is in place, revoke the old one. If you have done so already, there is nothing left to do.\n", e.kind, e.holder, e.organisation, when, then)
	case e.kind == "root-list":
		n.Subject = fmt.Sprintf("%s: good until %s", e.holder, e.at.Format("2 January 2006"))
		n.Text = fmt.Sprintf("%s is good until %s. From then on whoever checks it refuses every certificate of the %s hierarchy.\n\nWhat to do: run perseus-central ceremony sign on the offline machine, with the medium of the roots and without --requests, then ceremony install here.\n", e.holder, moment, e.hierarchy)
	case e.kind == "root":
		n.Subject = fmt.Sprintf("Root %s ends %s", e.holder, left(e.at.Sub(s.Now())))
		n.Text = fmt.Sprintf("The root %s ends %s. Everyone who trusts it must have its successor before that: begin a new folder of authorities with a ceremony.\n", e.holder, when)
	default:
		n.Subject = fmt.Sprintf("Issuer %s ends %s", e.holder, left(e.at.Sub(s.Now())))
		n.Text = fmt.Sprintf("The issuer %s ends %s. No certificate that it issues lasts longer.\n\nWhat to do: a ceremony with the same requests (perseus-central ceremony request, sign, install).\n", e.holder, when)
	}
	if e.serial != "" {
		n.Text += "\nSerial number: " + e.serial + "\n"
	}
	if e.holderURL != "" {
		n.Text += "Entry: " + e.holderURL + "\n"
	}
	n.Text += "Directory: " + s.BaseURL + "\n"
	return n
}

// left says how long something still lasts.
func left(d time.Duration) string {
	switch days := int(math.Round(d.Hours() / 24)); {
	case d < 36*time.Hour:
		return fmt.Sprintf("in %d hours", int(d.Hours()))
	default:
		return fmt.Sprintf("in %d days", days)
	}
}
