package signin

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/skip2/go-qrcode"
)

// QR draws the address of an app's secret for a page: black on white whatever
// the page's colours, without a style or an image source, so that a strict
// content security policy lets it be.
func (a App) QR(label string) (template.HTML, error) {
	q, err := qrcode.New(a.URL, qrcode.Medium)
	if err != nil {
		return "", err
	}
	var path strings.Builder
	dots := q.Bitmap()
	for y, row := range dots {
		for x, on := range row {
			if on {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	n := len(dots)
	return template.HTML(fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="200" height="200" role="img" aria-label="%s" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="%s"/></svg>`,
		n, n, template.HTMLEscapeString(label), n, n, path.String())), nil
}

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
