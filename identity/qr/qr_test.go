package qr_test

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/skip2/go-qrcode"

	"github.com/perseus-edge/perseus-edge/directory/dirtest"
	"github.com/perseus-edge/perseus-edge/identity"
	"github.com/perseus-edge/perseus-edge/identity/qr"
)

// The three drawings hold the same dots, and no label breaks out of the page.
func TestQRCode(t *testing.T) {
	link := identity.EnrolLink("https://directory.example.org", identity.ExampleEnrolCode)
	q := dirtest.Must(qrcode.New(link, qrcode.Medium))(t)
	dark := 0
	for _, row := range q.Bitmap() {
		for _, dot := range row {
			if dot {
				dark++
			}
		}
	}
	svg := string(dirtest.Must(qr.SVG(link, `code of "Fish & <Chips>"`))(t))
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(svg, "<Chips>") || strings.Contains(svg, "style") {
		t.Error(svg[:200])
	}
	drawn := 0
	for _, run := range regexp.MustCompile(`M\d+ \d+h(\d+)v1h-\d+z`).FindAllStringSubmatch(svg, -1) {
		n, _ := strconv.Atoi(run[1])
		drawn += n
	}
	if drawn != dark {
		t.Errorf("%d dots of %d", drawn, dark)
	}
	img := dirtest.Must(png.Decode(bytes.NewReader(dirtest.Must(qr.PNG(link, 400))(t))))(t)
	if b := img.Bounds(); b.Dx() != 400 || b.Dy() != 400 {
		t.Errorf("size %v", b)
	}
	if text := dirtest.Must(qr.Text(link))(t); strings.Count(text, "\n") != (len(q.Bitmap())+1)/2 {
		t.Errorf("%d lines of text for %d rows", strings.Count(text, "\n"), len(q.Bitmap()))
	}
	if _, err := qr.SVG(strings.Repeat("x", 5000), ""); err == nil {
		t.Error("drawn, though it does not fit")
	}
}
