package signin

import (
	"html/template"
	"strings"

	"github.com/perseus-edge/perseus-edge/identity/qr"
)

// QR draws the address of an app's secret for a page.
func (a App) QR(label string) (template.HTML, error) { return qr.SVG(a.URL, label) }

// Key is the secret as people type it, in groups of four.
func (a App) Key() string {
	var b strings.Builder
	for i, c := range a.Secret {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(c)
	}
	return b.String()
}
